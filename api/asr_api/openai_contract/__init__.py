"""OpenAI's transcription contract on top of the same intake, queue and store as everything else.

Nothing here decides about tasks: the lane is `interactive`, callers wait for the end, and what
comes back is the task's own transcript in OpenAI's response format. What a model cannot heed is
told by name.
"""
