"""The worker: claim → decode → segment → batch → engine → assemble → finish.

It imports `core` and nothing of the API, the operator or the command line. Its sub-rooms, from top
to bottom: `process` runs the program, `attempts` takes a task from claim to report, `inference`
batches segments across tasks, `transcript` puts the results together, `engines` run the models,
`in_flight` holds what is under way, `audio` decodes and cuts. Only `audio` imports PyAV, only
`engines` import torch or funasr.
"""
