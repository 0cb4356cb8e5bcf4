-- needs: clock, tasks
-- Who waits for a task, and which run an equal request joins.
--
-- asr:callers:{id}   callers by the end of their lease. One that left without its whole reply stays, its
--                    lease over: that reply is still owed. One that has it is removed.
-- asr:attended       tasks that end when their callers have left, by the time to look again.
-- asr:join:…         the run that an equal request of the same tenant joins.
local FORGOTTEN_MS = 86400000

local function last_lease(id)
  return tonumber(redis.call('ZREVRANGE', K.callers(id), 0, 0, 'WITHSCORES')[2] or 0)
end

local function attend(id, caller, lease_ms, grace_ms)
  redis.call('ZADD', K.callers(id), now + lease_ms, caller)
  redis.call('PEXPIRE', K.callers(id), FORGOTTEN_MS)
  redis.call('ZADD', K.attended, last_lease(id) + grace_ms, id)
end

-- A run under way, or one completed within `owed_ms` whose reply somebody did not get whole.
local function joinable(tenant, fingerprint, owed_ms)
  local id = redis.call('GET', K.join(tenant, fingerprint))
  local task = id and read(id)
  if not task then return nil end
  if is_open(task) then return id end
  if task.state ~= 'completed' or redis.call('ZCARD', K.callers(id)) == 0 then return nil end
  local finished_at = tonumber(redis.call('HGET', K.task(id), 'finished_at') or 0)
  return now - finished_at <= owed_ms and id or nil
end

-- The newcomer is taken for one of those who left, come again.
local function join(id, caller)
  if not redis.call('ZSCORE', K.callers(id), caller.id) then
    local gone = redis.call('ZRANGEBYSCORE', K.callers(id), '-inf', now, 'LIMIT', 0, 1)[1]
    if gone then redis.call('ZREM', K.callers(id), gone) end
  end
  attend(id, caller.id, caller.lease_ms, caller.grace_ms)
  if caller.partials then redis.call('HSET', K.task(id), 'partials', 'True') end
end

local function unattend(id)
  local known = redis.call('HMGET', K.task(id), 'tenant', 'fingerprint')
  if known[1] and known[2] then
    local key = K.join(known[1], known[2])
    if redis.call('GET', key) == id then redis.call('DEL', key) end
  end
  redis.call('DEL', K.callers(id))
  redis.call('ZREM', K.attended, id)
end
