"""`asr bench`: what this machine reaches, stage by stage, beside FunASR's own code.

Measures and prints; nothing here is used by the platform itself.
"""
