-- Limits of tenants, and what they use of them.

-- A tenant's own limit, else the platform's. 0 is none.
local function limit_of(tenant, name, default)
  return tonumber(redis.call('HGET', K.tenant_limits, tenant .. ':' .. name) or default)
end

local function open_of(tenant)
  return redis.call('ZCARD', K.history(tenant, 'queued')) + redis.call('ZCARD', K.history(tenant, 'processing'))
    + redis.call('ZCARD', K.history(tenant, 'fetching'))
end

-- Why a tenant may not bring a task of `bytes` now: {verdict, its limit, what stands}; nil if it may.
local function over_limit(tenant, bytes, defaults)
  local most = limit_of(tenant, 'open_tasks', defaults.open_tasks)
  if most > 0 and open_of(tenant) >= most then return {'busy', most, open_of(tenant)} end
  most = limit_of(tenant, 'stored_bytes', defaults.stored_bytes)
  local stored = most > 0 and tonumber(redis.call('HGET', K.tenant_stored, tenant) or 0) or 0
  if most > 0 and stored + math.max(1, bytes) > most then return {'quota', most, stored} end
end

-- A task's recording came into the store (`by` > 0) or leaves it. A recount that is under way and past
-- this task takes notice: see recount_stored.
local function store_bytes(id, tenant, by)
  if by == 0 then return end
  local bytes = string.format('%d', by)
  if redis.call('HINCRBY', K.tenant_stored, tenant, bytes) == 0 then
    redis.call('HDEL', K.tenant_stored, tenant)
  end
  local cursor = redis.call('HGET', K.recount(tenant), 'cursor')
  if cursor and id <= cursor then redis.call('HINCRBY', K.recount(tenant), 'bytes', bytes) end
end

-- How many undelivered entries of a tenant may stand: the window, by its weight.
local function share_of(tenant, window)
  return math.max(1, math.floor(window * limit_of(tenant, 'weight', 1)))
end
