-- Shared by every script: places where a task can stand, and its transitions.
--
-- An open task stands in exactly one place:
--   waiting zset + stream entry not yet delivered    (state queued)
--   waiting zset + held zset of its tenant           (state queued)
--   delayed zset                                     (state queued, backing off)
--   leases zset + pending entry                      (state processing; queued once released or reaped)
--   fetching zset + its line of the courier          (state fetching)

-- redis.pcall for errors that are answers: no group, no stream, no such entry. A permission that lacks is
-- none, and ends the script.
local function try(...)
  local reply = redis.pcall(...)
  local err = type(reply) == 'table' and reply.err
  if err then
    for _, words in ipairs({'NOPERM', "The user executing the script can't", 'ACL failure in script'}) do
      if string.find(err, words, 1, true) then error(reply) end
    end
  end
  return reply
end

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

-- One that is missing from a stream that stands was destroyed: reconcile tells how often that was.
local function ensure_group(stream)
  local stood = redis.call('EXISTS', stream) == 1
  local made = try('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM')
  if stood and not made.err then redis.call('INCR', K.remade) end
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

-- Places of an open task, beside that in the stream.
local function start_lease(id, task, until_ms)
  if redis.call('ZADD', K.leases(task.pool, task.lane), until_ms, id) == 1 then
    add_open(task, 'leases:' .. task.lane, 1)
  end
end

local function end_lease(id, task)
  if redis.call('ZREM', K.leases(task.pool, task.lane), id) == 1 then
    add_open(task, 'leases:' .. task.lane, -1)
  end
end

-- Its lease stays as it is; without one, it has run out at `until_ms`.
local function keep_lease(id, task, until_ms)
  if not redis.call('ZSCORE', K.leases(task.pool, task.lane), id) then start_lease(id, task, until_ms) end
end

local function leave_delayed(id, task)
  if redis.call('ZREM', K.delayed(task.pool), id) == 1 then add_open(task, 'delayed', -1) end
end

-- The undelivered tasks of each tenant in their order, at most a window of each: ordered by name.
local function next_name(id, task) return string.format('%s|%014d|%s', task.tenant, task.queued_at, id) end

local function stop_waiting(id, task)
  redis.call('ZREM', K.waiting(task.pool, task.lane), id)
  redis.call('ZREM', K.next(task.pool, task.lane), next_name(id, task))
end

-- How many undelivered entries of a tenant may stand: the window, by its weight.
local function share_of(tenant, window)
  return math.max(1, math.floor(window * limit_of(tenant, 'weight', 1)))
end

-- Fair share: at most `window` undelivered entries of a tenant stand in a stream, the rest is held.
local function append(id, task)
  task.entry = redis.call('XADD', K.stream(task.pool, task.lane), '*', 'task_id', id)
  redis.call('HSET', K.task(id), 'entry', task.entry)
  redis.call('HINCRBY', K.undelivered(task.pool, task.lane), task.tenant, 1)
  redis.call('ZADD', K.next(task.pool, task.lane), 0, next_name(id, task))
end

local function unhold(pool, lane, tenant)
  if redis.call('HINCRBY', K.held_tenants(pool, lane), tenant, -1) <= 0 then
    redis.call('HDEL', K.held_tenants(pool, lane), tenant)
  end
end

-- A tenant's held tasks take the places that are free in its share.
local function top_up(pool, lane, tenant, undelivered, share)
  for _ = undelivered, share - 1 do
    local popped = redis.call('ZPOPMIN', K.held(pool, lane, tenant))
    if not popped[1] then return end
    unhold(pool, lane, tenant)
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
    top_up(pool, lane, tenant, undelivered, share) -- a weight may have been raised
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
  top_up(pool, lane, tenant, undelivered, window and share_of(tenant, window) or undelivered + 1)
end

-- What the courier has to do stands in lines, one for each tenant and place it goes to, so that a slow place
-- holds up no other. A line holds ids by the time they are due; what was taken is due again when its lease
-- ends. `lines_of` knows when the first of each line of a tenant is due, and `lines` whose turn it is: when
-- the first of a tenant became due, or when it was served last.
local function first_of(key)
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  return first[1], tonumber(first[2])
end

local function tenant_of(line) return string.match(line, '^([^|]*)|') or '' end

local this_moment = clock[1] * 1000 + clock[2] / 1000 -- ms; two turns within one are told apart

local function set_turn(kind, tenant, served)
  local _, due_ms = first_of(K.lines_of(kind, tenant))
  local turn = tonumber(redis.call('ZSCORE', K.lines(kind), tenant))
  if not due_ms then
    redis.call('ZREM', K.lines(kind), tenant)
  elseif served and due_ms <= now then
    redis.call('ZADD', K.lines(kind), this_moment, tenant)
  elseif due_ms > now or not turn or turn > this_moment then
    redis.call('ZADD', K.lines(kind), due_ms, tenant)
  end
end

local function refresh_line(kind, line, served)
  local tenant = tenant_of(line)
  local _, due_ms = first_of(K.line(kind, line))
  if due_ms then
    redis.call('ZADD', K.lines_of(kind, tenant), due_ms, line)
  else
    redis.call('ZREM', K.lines_of(kind, tenant), line)
  end
  set_turn(kind, tenant, served)
end

local function line_up(kind, line, id, due_ms)
  redis.call('ZADD', K.line(kind, line), due_ms, id)
  refresh_line(kind, line)
end

local function leave_line(kind, line, id)
  redis.call('ZREM', K.line(kind, line), id)
  refresh_line(kind, line)
end

-- Of a URL in its one spelling: see `Target`.
local function authority(url) return string.lower(string.match(url, '^%a+://([^/?#]+)') or '?') end

local function fetch_line(task) return task.tenant .. '|' .. authority(task.source_url) end

local function stand_for_fetching(id, task, due_ms)
  if redis.call('ZADD', K.fetching(task.pool), 'NX', now, id) == 1 then add_open(task, 'fetching', 1) end
  line_up('fetch', fetch_line(task), id, due_ms)
end

-- Removes a task from wherever it stands.
local function take_out(id, task)
  local pool, lane, tenant = task.pool, task.lane, task.tenant
  stop_waiting(id, task)
  end_lease(id, task)
  leave_delayed(id, task)
  redis.call('ZREM', K.solo(pool), id)
  if redis.call('ZREM', K.fetching(pool), id) == 1 then
    add_open(task, 'fetching', -1)
    leave_line('fetch', fetch_line(task), id)
  end
  if redis.call('ZREM', K.held(pool, lane, tenant), id) == 1 then unhold(pool, lane, tenant) end
  if task.entry ~= '' then
    local stream = K.stream(pool, lane)
    local was_pending = redis.call('XACK', stream, GROUP, task.entry)
    local was_there = redis.call('XDEL', stream, task.entry)
    if was_there == 1 and was_pending == 0 then delivered(pool, lane, tenant) end
    redis.call('HSET', K.task(id), 'entry', '')
    task.entry = ''
  end
end

local function add_backlog(task, ms)
  redis.call('HINCRBY', K.backlog(task.pool), task.lane .. '_ms', ms)
  add_open(task, 'audio_ms:' .. task.lane, ms)
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
  redis.call('HINCRBY', key, task.tenant .. ':tasks', 1)
  redis.call('EXPIRE', key, TENANT_KEPT_SECONDS)
end

-- The one terminal transition: leaves the queue, counts, tells listeners and the webhook outbox. The backlog
-- loses what it was given; where a worker has measured the audio, `measured_ms` is what counts from here on.
local function close(id, task, state, measured_ms)
  take_out(id, task)
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

local function bury(id, task, code, message)
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

local function must_be_alone(task) return task.crashes >= 2 end

-- Leaves a delivered task in the pending list without an owner, to be run alone.
local function set_aside(id, task)
  stop_waiting(id, task)
  start_lease(id, task, 0)
  redis.call('ZADD', K.solo(task.pool), task.queued_at, id)
end

-- Puts a task back that stands nowhere, or whose place is not to be trusted.
local function reopen(id, task, window)
  take_out(id, task)
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

local function run_id() return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') end

-- Leases run on while Redis is down, hangs or refuses writes, and nobody can renew them. None is judged
-- within one lease of first seeing a run id, or of a silence: in health somebody writes every second.
local SILENCE_MS = 2000
local function witness(lease_ms)
  local last = tonumber(redis.call('HGET', K.seen, 'last') or now)
  if now - last > math.max(lease_ms / 2, SILENCE_MS) then redis.call('HSET', K.seen, run_id(), now) end
  redis.call('HSET', K.seen, 'last', now)
end

local function is_trusted(id, lease_ms)
  local since = redis.call('HGET', K.seen, id)
  if not since then
    redis.call('DEL', K.seen)
    redis.call('HSET', K.seen, id, now)
    return false
  end
  return now - tonumber(since) >= lease_ms
end

-- Undelivered and pending entries of a stream; a third value says why they are not known.
local function depth(stream)
  local length = redis.call('XLEN', stream)
  local pending = try('XPENDING', stream, GROUP)
  if pending.err then
    if redis.call('EXISTS', stream) == 0 then return 0, 0, 'no_stream' end
    return length, 0, 'no_group'
  end
  return length - pending[1], pending[1], 'ok'
end

local function held_count(pool, lane)
  local total = 0
  for _, n in ipairs(redis.call('HVALS', K.held_tenants(pool, lane))) do total = total + n end
  return total
end

local function open_count(pool)
  local total = redis.call('ZCARD', K.delayed(pool)) + redis.call('ZCARD', K.fetching(pool))
  for _, lane in ipairs(LANES) do
    total = total + redis.call('ZCARD', K.waiting(pool, lane)) + redis.call('ZCARD', K.leases(pool, lane))
  end
  return total
end

local args = cjson.decode(ARGV[1])
