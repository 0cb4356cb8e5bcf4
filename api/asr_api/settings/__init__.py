"""Settings of the programs in this package, read once from the environment and passed down.

Imports core's settings alone; nothing is built at import.
"""
