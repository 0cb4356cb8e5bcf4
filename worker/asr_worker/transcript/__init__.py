"""Assembles the engines' results to one transcript: segments, channels and speakers.

Pure but for the speaker embeddings; imports engines' types and audio.
"""
