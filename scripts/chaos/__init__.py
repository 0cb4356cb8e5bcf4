"""Proves the promise: real programs, faults by a seeded plan, every accepted task accounted for."""
