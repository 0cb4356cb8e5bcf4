-- needs: backlog, callers, clock, depths, destinations, fair_share, groups, statistics, tasks, tenant_view, tenants
-- A new task, or the one that the same idempotency key made before, or that this caller joins. Replies
-- {verdict, id, its place among the tenant's own}.
local t = args.task
if redis.call('EXISTS', K.task(t.task_id)) == 1 then return {'replayed', t.task_id, 0} end
if redis.call('EXISTS', K.deleted(t.task_id)) == 1 then return {'deleted', t.task_id, 0} end
if t.idempotency_key ~= '' then
  local known = redis.call('HMGET', K.idempotency(t.tenant, t.idempotency_key), 'task_id', 'fingerprint')
  if known[1] and redis.call('EXISTS', K.task(known[1])) == 1 then
    if known[2] == t.fingerprint then return {'replayed', known[1], 0} end
    return {'conflict', known[1], 0}
  end
end
if args.caller then
  local known = joinable(t.tenant, t.fingerprint, args.caller.owed_ms)
  if known then
    join(known, args.caller)
    return {'replayed', known, 0}
  end
end
if open_count(t.pool) >= args.cap then return {'full', t.task_id, 0} end
local over = over_limit(t.tenant, tonumber(t.bytes), args.limits)
if over then return over end

if t.idempotency_key ~= '' then
  local key = K.idempotency(t.tenant, t.idempotency_key)
  redis.call('HSET', key, 'task_id', t.task_id, 'fingerprint', t.fingerprint)
  redis.call('PEXPIRE', key, args.idempotency_ms)
end
local flat = {}
for name, value in pairs(t) do
  flat[#flat + 1] = name
  flat[#flat + 1] = tostring(value)
end
redis.call('HSET', K.task(t.task_id), unpack(flat))
redis.call('HSET', K.task(t.task_id), 'state', '', 'created_at', now, 'queued_at', now, 'attempt', 0, 'progress', '0')
redis.call('SADD', K.tenants, t.tenant)
redis.call('ZADD', K.history(t.tenant, ''), 0, t.task_id)
local task = read(t.task_id)
store_bytes(t.task_id, t.tenant, task.bytes)
total(task, 'submitted', 1)
count(task, 'arrivals', 1)
if task.source_url ~= '' then
  set_state(t.task_id, task, 'fetching')
  count(task, 'fetching', 1)
  enqueue_fetch(t.task_id, task, now)
  announce(t.task_id, 'fetching', '0')
  return {'created', t.task_id, 0}
end
set_state(t.task_id, task, 'queued')
add_backlog(task, task.duration_ms)
ensure_group(K.stream(t.pool, t.lane))
enqueue(t.task_id, task, args.window)
count(task, 'arrival_ms', task.duration_ms)
if args.caller then
  redis.call('SET', K.join(t.tenant, t.fingerprint), t.task_id, 'PX', FORGOTTEN_MS)
  attend(t.task_id, args.caller.id, args.caller.lease_ms, args.caller.grace_ms)
end
announce(t.task_id, 'queued', '0')
return {'created', t.task_id, waiting_of(t.pool, t.lane, t.tenant)}
