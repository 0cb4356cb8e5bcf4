"""Request bodies on their way to the store: multipart form, streamed upload, bounded spool folder.

Knows no task and no route; imports core and HTTP.
"""
