"""What several routes ask of a task: its state, its changes, its transcript.

Imports core, schemas and the services; no route.
"""
