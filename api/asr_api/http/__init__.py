"""HTTP below the routes: ASGI middlewares, uvicorn's protocol, headers, ranges, the error body.

Knows no route, no task and no service; imports core and the API's errors.
"""
