-- needs: clock
-- Notes that a key was used now, unless it has gone meanwhile.
if redis.call('EXISTS', K.api_key(args.digest)) == 1 then
  redis.call('HSET', K.api_key(args.digest), 'last_used_at', now)
end
return 1
