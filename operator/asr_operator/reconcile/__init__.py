"""One WorkerPool's loop: observe, plan, execute, report.

Imports planning and cluster; neither imports it.
"""
