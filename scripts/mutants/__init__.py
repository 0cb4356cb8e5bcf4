"""Mutation tests of the pure modules: one change of the code at a time, do the unit tests notice?

`make mutants`; see CONTRIBUTING.md. The modules, their tests and the survivors that are accepted
stand in tests/mutants.toml.
"""
