-- needs: backlog, clock, ending, fair_share, groups, statistics, tasks, tenants
-- The recording is in the store: the task is queued. Its URL, which may hold a secret, is forgotten.
-- Replies one outcome; a replay of one that worked is 'ok'.
local id = args.task_id
local task = read(id)
if not task then return 'gone' end
if task.state == 'cancelled' then return 'cancelled' end
if task.fetch_token ~= args.token then return 'fenced' end
if task.state ~= 'fetching' then return 'ok' end
remove_everywhere(id, task)
redis.call('HSET', K.task(id), 'bytes', args.bytes, 'duration_ms', args.duration_ms,
  'content_type', args.content_type, 'queued_at', now, 'source_url', '')
task = read(id)
store_bytes(id, task.tenant, task.bytes)
set_state(id, task, 'queued')
add_backlog(task, task.duration_ms)
ensure_group(K.stream(task.pool, task.lane))
enqueue(id, task, args.window)
count(task, 'fetching', -1)
count(task, 'arrival_ms', task.duration_ms)
announce(id, 'queued', '0')
return 'ok'
