-- A task's record and its states.
--
-- An open task stands in exactly one place:
--   waiting zset + stream entry not yet delivered    (state queued)
--   waiting zset + held zset of its tenant           (state queued)
--   delayed zset                                     (state queued, backing off)
--   leases zset + pending entry                      (state processing; queued once released or reaped)
--   fetching zset + its queue of a destination       (state fetching)

local function read(id)
  local names = {'state', 'pool', 'lane', 'tenant', 'entry', 'token', 'owner', 'attempt', 'crashes',
    'solo_crashes', 'solo', 'transient_failures', 'duration_ms', 'created_at', 'queued_at',
    'started_at', 'webhook', 'dead', 'idempotency_key', 'progress',
    'source_url', 'fetch_token', 'fetch_tries', 'bytes', 'audio_deleted_at'}
  local values = redis.call('HMGET', K.task(id), unpack(names))
  if not values[1] then return nil end
  local task = {}
  for i, name in ipairs(names) do task[name] = values[i] or '' end
  for _, name in ipairs({'attempt', 'crashes', 'solo_crashes', 'transient_failures', 'duration_ms',
      'created_at', 'queued_at', 'started_at', 'fetch_tries', 'bytes'}) do
    task[name] = tonumber(task[name]) or 0
  end
  return task
end

local function is_open(task)
  return task.state == 'queued' or task.state == 'processing' or task.state == 'fetching'
end

local function announce(id, state, progress)
  redis.call('PUBLISH', K.changed(id), state .. ' ' .. progress)
end

local function set_state(id, task, state)
  if task.state ~= state then
    if task.state ~= '' then redis.call('ZREM', K.history(task.tenant, task.state), id) end
    redis.call('ZADD', K.history(task.tenant, state), 0, id)
    task.state = state
  end
  redis.call('HSET', K.task(id), 'state', state)
end
