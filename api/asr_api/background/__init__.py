"""What an API process does beside requests: housekeeping of the queue, leases of waiting clients.

Stands on core alone: no routes, no services, no HTTP.
"""
