"""What every program needs as a process: logs, a home folder, listening sockets.

Knows no queue, no store and no task.
"""
