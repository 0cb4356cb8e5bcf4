"""One file per noun; each holds a `router`. A route reads its parameters, asks the services, shapes
the reply.
"""
