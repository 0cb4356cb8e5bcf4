-- needs: backlog, clock, delayed, destinations, fair_share, leases, statistics, tasks, tenants
-- How a task leaves the queue: terminal transitions and deletion.

-- Removes a task from wherever it stands.
local function remove_everywhere(id, task)
  local pool, lane, tenant = task.pool, task.lane, task.tenant
  stop_waiting(id, task)
  end_lease(id, task)
  leave_delayed(id, task)
  redis.call('ZREM', K.solo(pool), id)
  if redis.call('ZREM', K.fetching(pool), id) == 1 then
    add_open(task, 'fetching', -1)
    dequeue_job('fetch', fetch_destination(task), id)
  end
  if redis.call('ZREM', K.held(pool, lane, tenant), id) == 1 then admit(pool, lane, tenant) end
  if task.entry ~= '' then
    local stream = K.stream(pool, lane)
    local was_pending = redis.call('XACK', stream, GROUP, task.entry)
    local was_there = redis.call('XDEL', stream, task.entry)
    if was_there == 1 and was_pending == 0 then delivered(pool, lane, tenant) end
    redis.call('HSET', K.task(id), 'entry', '')
    task.entry = ''
  end
end

-- An outbox that nobody reads must not fill Redis: the oldest entry gives way, and is counted.
local OUTBOX_LIMIT = 100000

local function notify(id, task, state)
  if redis.call('XLEN', K.outbox) >= OUTBOX_LIMIT then
    redis.call('HINCRBY', K.totals, 'webhooks_dropped', 1)
  end
  local failure = state == 'failed' and redis.call('HMGET', K.task(id), 'error_code', 'error_message') or {}
  redis.call('XADD', K.outbox, 'MAXLEN', OUTBOX_LIMIT, '*', 'task_id', id, 'state', state,
    'tenant', task.tenant, 'url', task.webhook, 'code', failure[1] or '', 'message', failure[2] or '')
end

-- What a tenant had transcribed, per day since 1970 (UTC), kept for 400 days.
local function record_usage(task)
  local key = K.usage(math.floor(now / 86400000))
  redis.call('HINCRBY', key, task.tenant .. ':audio_ms', task.duration_ms)
  if task.speech_ms then redis.call('HINCRBY', key, task.tenant .. ':speech_ms', task.speech_ms) end
  redis.call('HINCRBY', key, task.tenant .. ':tasks', 1)
  redis.call('EXPIRE', key, TENANT_KEPT_SECONDS)
end

-- The one terminal transition: leaves the queue, counts, tells listeners and the webhook outbox. The backlog
-- loses what it was given; where a worker has measured the audio, `measured_ms` is what counts from here on.
local function close(id, task, state, measured_ms)
  remove_everywhere(id, task)
  set_state(id, task, state)
  redis.call('HSET', K.task(id), 'finished_at', now, 'owner', '')
  add_backlog(task, 0 - task.duration_ms) -- of a 0, a minus alone makes -0, which Redis refuses
  if measured_ms then
    task.duration_ms = measured_ms
    redis.call('HSET', K.task(id), 'duration_ms', measured_ms)
  end
  count(task, state, 1)
  observe(task, 'total', now - task.queued_at)
  total(task, state, 1)
  if state == 'completed' then record_usage(task) end
  if task.webhook ~= '' then notify(id, task, state) end
  redis.call('DEL', K.partials(id))
  announce(id, state, state == 'completed' and '1' or task.progress)
end

local function dead_letter(id, task, code, message)
  redis.call('HSET', K.task(id), 'error_code', code, 'error_message', message)
  close(id, task, 'failed')
  local dead = redis.call('XADD', K.dead, '*', 'task_id', id, 'reason', code)
  redis.call('HSET', K.task(id), 'dead', dead)
  redis.call('HINCRBY', K.tenant_dead, task.tenant, 1)
end

-- A task is no dead letter any more.
local function leave_dead(task)
  if task.dead == '' or redis.call('XDEL', K.dead, task.dead) == 0 then return end
  if redis.call('HINCRBY', K.tenant_dead, task.tenant, -1) <= 0 then
    redis.call('HDEL', K.tenant_dead, task.tenant)
  end
end

-- Removes a finished task and every trace of it. A tenant without tasks is forgotten as well.
local function forget(id, task)
  if task.audio_deleted_at == '' then store_bytes(id, task.tenant, -task.bytes) end
  redis.call('ZREM', K.history(task.tenant, ''), id)
  redis.call('ZREM', K.history(task.tenant, task.state), id)
  if redis.call('EXISTS', K.history(task.tenant, '')) == 0 then
    redis.call('SREM', K.tenants, task.tenant)
  end
  leave_dead(task)
  if task.idempotency_key ~= '' then
    local key = K.idempotency(task.tenant, task.idempotency_key)
    if redis.call('HGET', key, 'task_id') == id then redis.call('DEL', key) end
  end
  redis.call('DEL', K.task(id))
  announce(id, 'deleted', '0')
end
