"""Outbound HTTP: the only way in which this program calls another server.

Parses the URL, resolves it, checks the addresses against the SSRF policy and connects to the
address that was checked. Imports core and nothing else of the API; only this sub-room may import
an HTTP client.
"""
