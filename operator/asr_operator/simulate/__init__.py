"""`asr simulate`: replays arrivals through the plan and through other autoscalers.

A discrete-event model: no I/O except trace files and pictures, no clock, seeded randomness. The
operator imports nothing from here.
"""
