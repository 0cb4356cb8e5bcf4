"""Segments of many tasks become batches, and batches texts: fair queue, plan, engine thread.

Imports engines, transcript and audio; knows no task beyond its id and no queue.
"""
