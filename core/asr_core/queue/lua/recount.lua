-- needs: fair_share, replies, tenants
-- Derives one pool's counters from its open tasks, corrects what had drifted and drops idle consumers.
-- Replies {corrected counters, consumers removed, corrected counters of tenants}: the last are such as
-- programs of an older release do not keep.
local pool, window = args.pool, args.window
local corrected, removed, recounted = 0, 0, 0

local function correct(key, field, value)
  if tonumber(redis.call('HGET', key, field) or 0) == value then return 0 end
  if value == 0 then redis.call('HDEL', key, field) else redis.call('HSET', key, field, value) end
  return 1
end

local function correct_all(key, values)
  local count = 0
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if not values[field] then count = count + correct(key, field, 0) end
  end
  for field, value in pairs(values) do count = count + correct(key, field, value) end
  return count
end

local function correct_members(key, wanted)
  local count = 0
  for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
    if not wanted[member] then count = count + redis.call('ZREM', key, member) end
  end
  for member in pairs(wanted) do count = count + redis.call('ZADD', key, 0, member) end
  return count
end

local function bump(counts, field, by) counts[field] = (counts[field] or 0) + by end

local audio, open = {}, {}

-- An open task's tenant, entry and time; nil where its hash is missing.
local function add(id, what)
  local f = redis.call('HMGET', K.task(id), 'duration_ms', 'tenant', 'entry', 'lane', 'queued_at')
  if not f[1] then return nil end
  local ms = tonumber(f[1])
  bump(audio, f[4], ms)
  bump(open, 'audio_ms:' .. f[4] .. ':' .. f[2], ms)
  if what then bump(open, what .. ':' .. f[2], 1) end
  return {tenant = f[2], entry = f[3], queued_at = tonumber(f[5])}
end

local function top_up_all(lane, undelivered)
  for _, tenant in ipairs(redis.call('HKEYS', K.held_tenants(pool, lane))) do
    refill(pool, lane, tenant, undelivered[tenant] or 0, share_of(tenant, window))
  end
end

local function recount_waiting(lane)
  local undelivered, held, next_names = {}, {}, {}
  for _, id in ipairs(redis.call('ZRANGE', K.waiting(pool, lane), 0, -1)) do
    local task = add(id)
    if not task then
      redis.call('ZREM', K.waiting(pool, lane), id)
    elseif task.entry ~= '' then
      bump(undelivered, task.tenant, 1)
      next_names[next_name(id, task)] = true
    else
      bump(held, task.tenant, 1)
    end
  end
  corrected = corrected + correct_all(K.undelivered(pool, lane), undelivered)
    + correct_all(K.held_tenants(pool, lane), held)
  recounted = recounted + correct_members(K.next(pool, lane), next_names)
  top_up_all(lane, undelivered)
end

local function drop_idle_consumers(lane)
  local consumers = try('XINFO', 'CONSUMERS', K.stream(pool, lane), GROUP)
  if consumers.err then return end
  for _, c in ipairs(consumers) do
    local info = {}
    for i = 1, #c, 2 do info[c[i]] = c[i + 1] end
    if info.pending == 0 and info.idle > args.consumer_idle_ms then
      redis.call('XGROUP', 'DELCONSUMER', K.stream(pool, lane), GROUP, info.name)
      removed = removed + 1
    end
  end
end

for _, id in ipairs(redis.call('ZRANGE', K.delayed(pool), 0, -1)) do
  if not add(id, 'delayed') then redis.call('ZREM', K.delayed(pool), id) end
end
for _, id in ipairs(redis.call('ZRANGE', K.fetching(pool), 0, -1)) do
  local f = redis.call('HMGET', K.task(id), 'state', 'tenant')
  if f[1] == 'fetching' then
    bump(open, 'fetching:' .. f[2], 1)
  else
    redis.call('ZREM', K.fetching(pool), id)
  end
end
for _, lane in ipairs(LANES) do
  for _, id in ipairs(redis.call('ZRANGE', K.leases(pool, lane), 0, -1)) do
    if not add(id, 'leases:' .. lane) then redis.call('ZREM', K.leases(pool, lane), id) end
  end
  recount_waiting(lane)
  drop_idle_consumers(lane)
end
recounted = recounted + correct_all(K.tenant_open(pool), open)
for _, lane in ipairs(LANES) do
  corrected = corrected + correct(K.backlog(pool), lane .. '_ms', audio[lane] or 0)
end
return {corrected, removed, recounted}
