"""What the API reports of itself: metrics, health checks of its dependencies, statistics.

Imports core and schemas; no routes.
"""
