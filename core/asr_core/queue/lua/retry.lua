-- needs: backlog, clock, depths, destinations, ending, fair_share, groups, statistics, tasks, tenants
-- A failed or cancelled task is queued again, its failure counters at zero. Attempts go on counting:
-- each writes to its own path. One whose recording was given up stays as it is; one whose recording was
-- never fetched is fetched again. Replies {verdict, state}.
local id = args.task_id
local task = read(id)
if not task or (args.tenant ~= '' and task.tenant ~= args.tenant) then return {'missing', ''} end
if args.dead_only and task.dead == '' then return {'conflict', task.state} end
if task.state ~= 'failed' and task.state ~= 'cancelled' then return {'conflict', task.state} end
if redis.call('HEXISTS', K.task(id), 'audio_deleted_at') == 1 then return {'gone', task.state} end
if open_count(task.pool) >= args.cap then return {'full', task.state} end
if not args.dead_only then -- what an operator puts back was let in before
  local most = limit_of(task.tenant, 'open_tasks', args.limits.open_tasks)
  if most > 0 and open_of(task.tenant) >= most then return {'busy', most, open_of(task.tenant)} end
end
leave_dead(task)
redis.call('HDEL', K.task(id), 'error_code', 'error_message', 'finished_at', 'started_at', 'dead')
redis.call('HSET', K.task(id), 'queued_at', now, 'crashes', 0, 'solo_crashes', 0, 'solo', '0',
  'transient_failures', 0, 'token', '', 'worker', '', 'progress', '0', 'result', '')
task.queued_at = now
count(task, 'arrivals', 1)
if task.source_url ~= '' then
  redis.call('HSET', K.task(id), 'fetch_tries', 0, 'fetch_token', '')
  set_state(id, task, 'fetching')
  count(task, 'fetching', 1)
  enqueue_fetch(id, task, now)
  announce(id, 'fetching', '0')
  return {'ok', 'fetching'}
end
set_state(id, task, 'queued')
add_backlog(task, task.duration_ms)
ensure_group(K.stream(task.pool, task.lane))
enqueue(id, task, args.window)
count(task, 'arrival_ms', task.duration_ms)
announce(id, 'queued', '0')
return {'ok', 'queued'}
