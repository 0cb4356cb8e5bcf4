-- Derives one pool's counters from its open tasks, corrects what had drifted and drops idle consumers.
-- Replies {corrected counters, consumers removed}.
local pool, window = args.pool, args.window
local corrected, removed = 0, 0

local function correct(key, field, value)
  if tonumber(redis.call('HGET', key, field) or 0) ~= value then
    if value == 0 then redis.call('HDEL', key, field) else redis.call('HSET', key, field, value) end
    corrected = corrected + 1
  end
end

local function correct_all(key, values)
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if not values[field] then correct(key, field, 0) end
  end
  for field, value in pairs(values) do correct(key, field, value) end
end

local function bump(counts, field, by) counts[field] = (counts[field] or 0) + by end

local audio = {}
local function add(id, lane, undelivered, held)
  local f = redis.call('HMGET', K.task(id), 'duration_ms', 'tenant', 'entry', 'lane')
  if not f[1] then return false end
  bump(audio, f[4], tonumber(f[1]))
  if undelivered then bump(f[3] ~= '' and undelivered or held, f[2], 1) end
  return true
end

local function top_up_all(lane, undelivered)
  for _, tenant in ipairs(redis.call('HKEYS', K.held_tenants(pool, lane))) do
    top_up(pool, lane, tenant, undelivered[tenant] or 0, share_of(tenant, window))
  end
end

for _, id in ipairs(redis.call('ZRANGE', K.delayed(pool), 0, -1)) do
  if not add(id) then redis.call('ZREM', K.delayed(pool), id) end
end
for _, id in ipairs(redis.call('ZRANGE', K.fetching(pool), 0, -1)) do
  if redis.call('HGET', K.task(id), 'state') ~= 'fetching' then redis.call('ZREM', K.fetching(pool), id) end
end
for _, lane in ipairs(LANES) do
  local undelivered, held = {}, {}
  for _, id in ipairs(redis.call('ZRANGE', K.waiting(pool, lane), 0, -1)) do
    if not add(id, lane, undelivered, held) then redis.call('ZREM', K.waiting(pool, lane), id) end
  end
  for _, id in ipairs(redis.call('ZRANGE', K.leases(pool, lane), 0, -1)) do
    if not add(id) then redis.call('ZREM', K.leases(pool, lane), id) end
  end
  correct_all(K.undelivered(pool, lane), undelivered)
  correct_all(K.held_tenants(pool, lane), held)
  top_up_all(lane, undelivered)
  local consumers = try('XINFO', 'CONSUMERS', K.stream(pool, lane), GROUP)
  if not consumers.err then
    for _, c in ipairs(consumers) do
      local info = {}
      for i = 1, #c, 2 do info[c[i]] = c[i + 1] end
      if info.pending == 0 and info.idle > args.consumer_idle_ms then
        redis.call('XGROUP', 'DELCONSUMER', K.stream(pool, lane), GROUP, info.name)
        removed = removed + 1
      end
    end
  end
end
for _, lane in ipairs(LANES) do correct(K.backlog(pool), lane .. '_ms', audio[lane] or 0) end
return {corrected, removed}
