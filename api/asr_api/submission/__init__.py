"""A request becomes a task: options read and validated, audio or URL accepted.

Stands below the routes, which only declare parameters; imports uploads, egress, probe and core.
"""
