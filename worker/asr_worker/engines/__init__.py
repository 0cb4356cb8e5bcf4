"""The engines: the only modules of the platform that import torch or funasr.

An engine has one owner thread and never uses Redis, HTTP or the store; it takes arrays and returns
texts. `base`, `tags` and `words` are pure, so that the rest of the worker may import them; this
module imports nothing, so that importing them loads neither torch nor funasr.
"""
