"""The worker as a program: command, supervisor, watchdog, drain, heartbeat, probes and metrics.

The top of the room: builds the parts and passes them down; nothing below imports it.
"""
