-- needs: clock, delayed, ending, fair_share, leases, replies, statistics, tasks
-- How an attempt starts, and how a task returns to the queue.

-- Starts an attempt. The entry is already pending for this consumer.
local function begin(id, task, to, token, solo)
  stop_waiting(id, task)
  redis.call('ZREM', K.solo(task.pool), id)
  start_lease(id, task, now + to.lease_ms)
  if task.attempt == 0 then observe(task, 'wait', now - task.queued_at) end
  set_state(id, task, 'processing')
  redis.call('HSET', K.task(id), 'owner', to.consumer, 'worker', to.worker, 'token', token,
    'attempt', task.attempt + 1, 'started_at', now, 'progress', '0', 'solo', solo and '1' or '0')
  announce(id, 'processing', '0')
  return {token, solo and 1 or 0, redis.call('HGETALL', K.task(id))}
end

local function must_run_alone(task) return task.crashes >= 2 end

-- Leaves a delivered task in the pending list without an owner, to be run alone.
local function isolate(id, task)
  stop_waiting(id, task)
  start_lease(id, task, 0)
  redis.call('ZADD', K.solo(task.pool), task.queued_at, id)
end

-- Puts a task back that stands nowhere, or whose place is not to be trusted.
local function reopen(id, task, window)
  remove_everywhere(id, task)
  set_state(id, task, 'queued')
  enqueue(id, task, window)
end

-- A worker with empty hands takes a task that must run alone at once; of the others one at a time
-- empties itself for it, and gets nothing else meanwhile.
-- Returns: a claim, or true for "claim nothing now", or nil.
local function take_alone(to)
  if redis.call('ZCARD', K.solo(to.pool)) == 0 then return nil end
  local turn = K.solo_turn(to.pool)
  local holder = redis.call('GET', turn)
  if to.in_hand > 0 then
    if holder and holder ~= to.consumer and redis.call('EXISTS', K.worker(holder)) == 1 then
      return nil
    end
    redis.call('SET', turn, to.consumer, 'PX', to.lease_ms)
    return true
  end
  redis.call('DEL', turn)
  while true do
    local id = redis.call('ZPOPMIN', K.solo(to.pool))[1]
    if not id then return nil end
    local task = read(id)
    if task and task.state == 'queued' then
      local got = try('XCLAIM', K.stream(task.pool, task.lane), GROUP, to.consumer, 0,
        task.entry, 'JUSTID')
      if not got.err and got[1] then return begin(id, task, to, to.token .. ':0', true) end
      reopen(id, task, to.window)
    end
  end
end

local function is_cordoned(consumer)
  return redis.call('HGET', K.worker(consumer), 'cordoned') == '1'
end

local function move_due(pool, limit, window)
  local due = redis.call('ZRANGEBYSCORE', K.delayed(pool), '-inf', now, 'LIMIT', 0, limit)
  for _, id in ipairs(due) do
    local task = read(id)
    if task then leave_delayed(id, task) else redis.call('ZREM', K.delayed(pool), id) end
    if task and task.state == 'queued' then enqueue(id, task, window) end
  end
  return #due
end
