-- Queues delayed retries that are due. Replies how many.
witness(args.lease_ms)
return move_due(args.pool, args.limit, args.window)
