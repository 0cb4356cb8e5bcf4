-- needs: fair_share
-- What of one tenant stands in the queue.

-- A tenant's undelivered and held tasks: both counters every release keeps.
local function waiting_of(pool, lane, tenant)
  return tonumber(redis.call('HGET', K.undelivered(pool, lane), tenant) or 0)
    + tonumber(redis.call('HGET', K.held_tenants(pool, lane), tenant) or 0)
end

local function standing(pool, what, tenant)
  return tonumber(redis.call('HGET', K.tenant_open(pool), what .. ':' .. tenant) or 0)
end

-- Its first undelivered task: '}' is what comes after '|'.
local function next_of(pool, lane, tenant)
  return redis.call('ZRANGEBYLEX', K.next(pool, lane), '[' .. tenant .. '|', '(' .. tenant .. '}', 'LIMIT', 0, 1)[1]
end

-- One-based place among those of its tenant that wait in its lane; 0 if it does not wait.
local function place_of(id, task)
  local pool, lane, tenant = task.pool, task.lane, task.tenant
  if not redis.call('ZSCORE', K.waiting(pool, lane), id) then return 0 end
  if task.entry ~= '' then
    local name = next_name(id, task)
    redis.call('ZADD', K.next(pool, lane), 0, name) -- where an older release has submitted it
    return #redis.call('ZRANGEBYLEX', K.next(pool, lane), '[' .. tenant .. '|', '[' .. name)
  end
  local ahead = redis.call('ZRANK', K.held(pool, lane, tenant), id)
  return ahead and tonumber(redis.call('HGET', K.undelivered(pool, lane), tenant) or 0) + ahead + 1 or 0
end

local function open_in(pool, tenant)
  local open = standing(pool, 'delayed', tenant) + standing(pool, 'fetching', tenant)
  for _, lane in ipairs(LANES) do
    open = open + waiting_of(pool, lane, tenant) + standing(pool, 'leases:' .. lane, tenant)
  end
  return open
end
