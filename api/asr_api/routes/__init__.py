"""One file per noun; each holds a `router`. A route declares its parameters and
dependencies, calls one of them and shapes the reply.
"""
