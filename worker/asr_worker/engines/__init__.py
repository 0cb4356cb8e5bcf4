"""The engines: the only modules of the platform that import torch or funasr.

An engine has one owner thread and never touches Redis, HTTP or the store; it gets arrays and gives
texts. `base`, `tags` and `words` are pure, so that the rest of the worker may import them; nothing
is imported here, so that doing so loads neither torch nor funasr.
"""
