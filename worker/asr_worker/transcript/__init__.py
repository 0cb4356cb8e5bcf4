"""What the engines returned, put together again: segments to sentences, channels and speakers.

Pure but for the speaker embeddings; imports engines' types and audio.
"""
