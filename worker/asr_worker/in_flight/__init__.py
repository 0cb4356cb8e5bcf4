"""The tasks in flight: their state and stages, the worker's capacity and its disk quota.

State only: nothing here claims, decodes or reports; imports core.
"""
