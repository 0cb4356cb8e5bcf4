-- Takes a lock that ends by itself; a script, so that a full Redis does not refuse it. Replies 1 or 0.
return redis.call('SET', args.lock, '1', 'NX', 'PX', args.lock_ms) and 1 or 0
