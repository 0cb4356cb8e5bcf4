"""Settings that several programs share, read once from the environment, in `main`, and passed down.

Each program composes its own class of them; none is built at import.
"""
