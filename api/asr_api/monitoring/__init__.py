"""Observability of the API: metrics, dependency health checks, statistics.

Imports core and schemas; no routes.
"""
