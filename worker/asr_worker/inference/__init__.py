"""Segments of many tasks become batches, batches become texts: fair queue, batch plan, engine thread.

Imports engines, transcript and audio; knows no task beyond its id and no queue.
"""
