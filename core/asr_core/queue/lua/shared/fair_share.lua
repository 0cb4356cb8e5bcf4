-- needs: tenants
-- At most a window of undelivered entries of a tenant stands in a stream; the rest is throttled.

-- The undelivered tasks of each tenant in their order, at most a window of each: ordered by name.
local function next_name(id, task) return string.format('%s|%014d|%s', task.tenant, task.queued_at, id) end

local function stop_waiting(id, task)
  redis.call('ZREM', K.waiting(task.pool, task.lane), id)
  redis.call('ZREM', K.next(task.pool, task.lane), next_name(id, task))
end

-- Fair share: at most `window` undelivered entries of a tenant stand in a stream, the rest is held.
local function append(id, task)
  task.entry = redis.call('XADD', K.stream(task.pool, task.lane), '*', 'task_id', id)
  redis.call('HSET', K.task(id), 'entry', task.entry)
  redis.call('HINCRBY', K.undelivered(task.pool, task.lane), task.tenant, 1)
  redis.call('ZADD', K.next(task.pool, task.lane), 0, next_name(id, task))
end

local function admit(pool, lane, tenant)
  if redis.call('HINCRBY', K.held_tenants(pool, lane), tenant, -1) <= 0 then
    redis.call('HDEL', K.held_tenants(pool, lane), tenant)
  end
end

-- A tenant's held tasks take the places that are free in its share.
local function refill(pool, lane, tenant, undelivered, share)
  for _ = undelivered, share - 1 do
    local popped = redis.call('ZPOPMIN', K.held(pool, lane, tenant))
    if not popped[1] then return end
    admit(pool, lane, tenant)
    append(popped[1], {pool = pool, lane = lane, tenant = tenant, queued_at = tonumber(popped[2])})
  end
end

local function enqueue(id, task, window)
  local pool, lane, tenant = task.pool, task.lane, task.tenant
  redis.call('ZADD', K.waiting(pool, lane), task.queued_at, id)
  local undelivered = tonumber(redis.call('HGET', K.undelivered(pool, lane), tenant) or 0)
  local share = share_of(tenant, window)
  if undelivered < share and redis.call('EXISTS', K.held(pool, lane, tenant)) == 0 then
    append(id, task)
  else
    if redis.call('ZADD', K.held(pool, lane, tenant), task.queued_at, id) == 1 then
      redis.call('HINCRBY', K.held_tenants(pool, lane), tenant, 1)
    end
    redis.call('HSET', K.task(id), 'entry', '')
    refill(pool, lane, tenant, undelivered, share) -- a weight may have been raised
    task.entry = redis.call('HGET', K.task(id), 'entry')
  end
  redis.call('PUBLISH', K.wake(pool), '1')
end

-- One entry of this tenant has left the undelivered part: its next held task takes the place. Who knows
-- the window makes a changed weight felt as well.
local function delivered(pool, lane, tenant, window)
  local key = K.undelivered(pool, lane)
  local undelivered = redis.call('HINCRBY', key, tenant, -1)
  if undelivered <= 0 then redis.call('HDEL', key, tenant) end
  if redis.call('EXISTS', K.held(pool, lane, tenant)) == 0 then return end
  undelivered = math.max(0, undelivered)
  refill(pool, lane, tenant, undelivered, window and share_of(tenant, window) or undelivered + 1)
end
