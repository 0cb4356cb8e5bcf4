-- needs: clock
-- A worker's record, alive for `ttl_ms`. Replies 1 if it has been cordoned.
local flat = {}
for name, value in pairs(args.record) do
  flat[#flat + 1] = name
  flat[#flat + 1] = tostring(value)
end
local key = K.worker(args.consumer)
redis.call('HSET', key, unpack(flat))
redis.call('HSETNX', key, 'cordoned', '0')
redis.call('PEXPIRE', key, args.ttl_ms)
redis.call('ZADD', K.workers(args.pool), now + args.ttl_ms, args.consumer)
if args.serves then
  redis.call('ZADD', K.models(args.pool), now, args.serves)
  redis.call('ZREMRANGEBYSCORE', K.models(args.pool), '-inf', '(' .. now - 30 * args.ttl_ms)
end
redis.call('ZREMRANGEBYSCORE', K.workers(args.pool), '-inf', '(' .. now - 3600000)
return redis.call('HGET', key, 'cordoned') == '1' and 1 or 0
