"""An attempt at a task, from claim to report: claim, fetch, decode, transcribe, store, finish.

Imports inference, transcript, audio and the tasks in flight; no engine and no process of its own.
"""
