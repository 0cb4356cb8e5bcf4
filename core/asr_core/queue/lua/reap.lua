-- needs: attempts, clock, ending, failover, leases, replies, statistics, tasks
-- Takes over tasks whose lease has run out. Replies a list of {token, solo, hash}.
local to = args
note_activity(to.lease_ms)
if is_cordoned(to.consumer) or to.room_tasks <= 0 or to.room_ms <= 0 then return {} end
if redis.call('GET', K.solo_turn(to.pool)) == to.consumer then return {} end
-- Until this Redis is trusted only what was handed back (lease 0) is free.
local until_ms = is_past_grace(run_id(), to.lease_ms) and now or 0

local function crashed(id, task)
  task.crashes = task.crashes + 1
  redis.call('HSET', K.task(id), 'crashes', task.crashes)
  if task.solo == '1' then
    task.solo_crashes = task.solo_crashes + 1
    redis.call('HSET', K.task(id), 'solo_crashes', task.solo_crashes)
  end
  count(task, 'crashed', 1)
  -- The token stays: finished work that nobody has begun again is still good.
  set_state(id, task, 'queued')
  redis.call('HSET', K.task(id), 'owner', '')
  announce(id, 'queued', '0')
end

local claims, taken_ms = {}, 0

local function take(id, lane)
  local task = read(id)
  if not task or not is_open(task) then
    if task then end_lease(id, task) else redis.call('ZREM', K.leases(to.pool, lane), id) end
    return
  end
  if task.state == 'processing' then crashed(id, task) end
  if task.solo_crashes >= 3 then
    return dead_letter(id, task, 'worker_crashed', 'the worker died three times while it ran this task alone')
  end
  if must_run_alone(task) then return isolate(id, task) end
  local got = try('XCLAIM', K.stream(to.pool, lane), GROUP, to.consumer, 0, task.entry, 'JUSTID')
  if got.err or not got[1] then return reopen(id, task, to.window) end
  claims[#claims + 1] = begin(id, task, to, to.token .. ':' .. #claims + 1, false)
  taken_ms = taken_ms + task.duration_ms
end

for _, lane in ipairs(LANES) do
  local expired = redis.call('ZRANGEBYSCORE', K.leases(to.pool, lane), '-inf', until_ms, 'LIMIT', 0, 1000)
  for _, id in ipairs(expired) do
    if #claims >= to.room_tasks or taken_ms >= to.room_ms then break end
    -- What waits to run alone stays where it is: take_alone in claim finds it.
    if not redis.call('ZSCORE', K.solo(to.pool), id) then take(id, lane) end
  end
end
return claims
