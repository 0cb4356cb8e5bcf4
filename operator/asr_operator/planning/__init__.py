"""How many replicas a pool should have, from plain observations. Pure: no I/O, no clock.

`plan.py` reads from top to bottom as the decision is taken; imports nothing of the other sub-rooms.
"""
