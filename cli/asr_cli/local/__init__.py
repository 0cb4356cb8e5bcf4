"""`asr up`: Redis, API, courier and workers as processes of one machine, in one data folder.

Imports core and the console; the programs are started as processes, never imported.
"""
