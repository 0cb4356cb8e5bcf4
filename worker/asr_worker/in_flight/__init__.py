"""What this worker holds: its tasks, their stages, the capacity and the disk quota they take.

State only: nothing here claims, decodes or reports; imports core.
"""
