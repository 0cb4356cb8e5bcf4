"""One module per command of `asr`: its parameters and its output.

Heavy imports stand inside the commands, so that `asr --help` is quick. Commands import the other
sub-rooms; none imports a command but `main`.
"""
