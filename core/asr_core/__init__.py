"""What every part of the platform agrees on: settings, tasks, errors, the queue, the store, telemetry, rendering.

This room imports no other room, and neither torch, funasr nor kopf.
"""

__version__ = "0.1.0"
