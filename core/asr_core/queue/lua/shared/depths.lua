-- needs: replies
-- What stands in a pool.

-- Undelivered and pending entries of a stream; a third value says why they are not known.
local function depth(stream)
  local length = redis.call('XLEN', stream)
  local pending = try('XPENDING', stream, GROUP)
  if pending.err then
    if redis.call('EXISTS', stream) == 0 then return 0, 0, 'no_stream' end
    return length, 0, 'no_group'
  end
  return length - pending[1], pending[1], 'ok'
end

local function held_count(pool, lane)
  local sum = 0
  for _, n in ipairs(redis.call('HVALS', K.held_tenants(pool, lane))) do sum = sum + n end
  return sum
end

local function open_count(pool)
  local sum = redis.call('ZCARD', K.delayed(pool)) + redis.call('ZCARD', K.fetching(pool))
  for _, lane in ipairs(LANES) do
    sum = sum + redis.call('ZCARD', K.waiting(pool, lane)) + redis.call('ZCARD', K.leases(pool, lane))
  end
  return sum
end
