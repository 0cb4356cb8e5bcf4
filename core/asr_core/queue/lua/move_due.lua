-- Queues delayed retries that are due. Replies how many.
return move_due(args.pool, args.limit, args.window)
