"""The HTTP API: takes audio in, answers for tasks, serves results. Stateless: truth is in Redis and
in the store.

This room imports core, and the probe imports the decoder; neither torch, funasr, kopf, the worker
nor the operator.
"""
