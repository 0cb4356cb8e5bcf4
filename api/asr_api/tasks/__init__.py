"""Task operations shared by routes: wait for the end, follow changes, read the transcript.

Imports core and HTTP helpers; no route.
"""
