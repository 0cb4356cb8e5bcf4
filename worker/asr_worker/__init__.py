"""The worker: claim → decode → segment → batch → engine → assemble → finish.

The room's law: it imports `core` and nothing of the API, the operator or the command line. Inside
it, only `audio` imports the decoder, only `engines` import torch or funasr, and `segments`,
`batching`, `assemble` and `engines.tags` are pure: plain data in, plain data out, no I/O and no
clock.
"""
