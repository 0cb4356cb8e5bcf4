"""The Kubernetes operator: reads the backlog, plans, scales.

Imports core, kopf and the Kubernetes client; never torch, funasr or fastapi. `operator/` itself
holds no `__init__.py`: it would shadow the standard library.
"""
