"""The courier: carries webhooks out and fetches recordings by URL, off the request path.

A program of its own in the API's image. Everything it calls goes through `egress`, which connects
only to addresses that `reach` has allowed. What it has in hand stands in Redis under a lease, so
one that dies loses nothing.
"""
