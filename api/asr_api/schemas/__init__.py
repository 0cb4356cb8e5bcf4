"""Bodies of requests and replies, as OpenAPI documents them. Pure: imports core, performs no I/O."""
