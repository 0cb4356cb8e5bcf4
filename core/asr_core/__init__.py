"""What every part agrees on: settings, tasks, errors, queue, store, telemetry, rendering.

This room imports no other room, and neither torch, funasr nor kopf.
"""

__version__ = "0.1.0"
