"""The `asr` command: everything a person types. Each command imports what it needs when it runs.

This room may import every other room, lazily; nothing imports it.
"""
