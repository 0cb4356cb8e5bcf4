"""Background work of an API process: queue housekeeping and leases of waiting clients.

Imports core and the metrics; no routes, no services, no HTTP.
"""
