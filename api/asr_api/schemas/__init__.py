"""Bodies of requests and replies, as OpenAPI documents them. Pure: imports core, does no I/O."""
