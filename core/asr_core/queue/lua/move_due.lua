-- needs: attempts, failover
-- Queues delayed retries that are due. Replies how many.
note_activity(args.lease_ms)
return move_due(args.pool, args.limit, args.window)
