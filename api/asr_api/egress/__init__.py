"""Outbound HTTP: the only code that calls other servers.

Parses the URL, resolves it, checks the addresses against the SSRF policy and connects to the
address that was checked. Imports core and nothing else of the API; only this sub-room may import
an HTTP client.
"""
