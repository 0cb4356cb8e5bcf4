"""What would have happened: replays arrivals through the plan and through its peers.

A model, not a cluster: no I/O but trace files and pictures, no clock of its own, chance only from a
seed. Nothing here is imported by the operator.
"""
