-- needs: clock, tenants
-- One request of a tenant, out of a bucket that holds a minute's worth and fills evenly.
-- Replies {taken, limit, left, ms until full, ms until the next}; a limit of 0 is none.
local limit = limit_of(args.tenant, 'rate_per_minute', args.default)
if limit <= 0 then return {1, 0, 0, 0, 0} end
local ms_each = 60000 / limit
local bucket = redis.call('HMGET', K.rate(args.tenant), 'tokens', 'at')
local passed_ms = math.max(0, now - (tonumber(bucket[2]) or now))
local tokens = math.min(limit, (tonumber(bucket[1]) or limit) + passed_ms / ms_each)
local taken = tokens >= 1 and 1 or 0
tokens = tokens - taken
redis.call('HSET', K.rate(args.tenant), 'tokens', string.format('%.6f', tokens), 'at', now)
redis.call('PEXPIRE', K.rate(args.tenant), 60000)
return {taken, limit, math.floor(tokens), math.ceil((limit - tokens) * ms_each),
  math.ceil(math.max(0, 1 - tokens) * ms_each)}
