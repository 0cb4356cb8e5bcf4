"""Shared by all programs: settings, tasks, errors, queue, store, logs, rendering.

This room imports no other room, and neither torch, funasr nor kopf.
"""

__version__ = "0.1.0"
