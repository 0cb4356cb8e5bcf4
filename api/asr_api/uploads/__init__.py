"""Request bodies: multipart parsing, streamed upload, bounded spool folder.

Knows no task and no route; imports core and HTTP.
"""
