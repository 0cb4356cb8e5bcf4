"""What is generated of the chart and of `manifests/`, and the programs that it takes.

Every generated file has one source: the operator's resource, the chart's values and templates, the
panels in `panels.py`. `python -m chart` writes them, `--check` names those that are stale.
"""
