-- needs: backlog, clock, ending, statistics, tasks
-- Permanent errors fail at once; transient ones wait in the delayed set, `retry_limit` times.
-- Replies one outcome per task.
local outcomes = {}

local function delay(id, task, item)
  remove_everywhere(id, task)
  set_state(id, task, 'queued')
  redis.call('HSET', K.task(id), 'transient_failures', task.transient_failures, 'owner', '', 'token', '',
    'error_code', item.code, 'error_message', item.message)
  local backoff = args.backoff_ms * 2 ^ (task.transient_failures - 1) * item.jitter
  redis.call('ZADD', K.delayed(task.pool), math.floor(now + backoff), id)
  add_open(task, 'delayed', 1)
  count(task, 'retried', 1)
  announce(id, 'queued', '0')
end

for i, item in ipairs(args.tasks) do
  local id = item.task_id
  local task = read(id)
  if not task then
    outcomes[i] = 'gone'
  elseif task.state == 'cancelled' then
    outcomes[i] = 'cancelled'
  elseif task.token ~= item.token or task.state == 'completed' then
    outcomes[i] = 'fenced'
  elseif task.state == 'failed' then
    outcomes[i] = 'ok'
  elseif item.permanent then
    redis.call('HSET', K.task(id), 'error_code', item.code, 'error_message', item.message)
    close(id, task, 'failed')
    outcomes[i] = 'ok'
  else
    task.transient_failures = task.transient_failures + 1
    if task.transient_failures > args.retry_limit then
      dead_letter(id, task, item.code, item.message)
    else
      delay(id, task, item)
    end
    outcomes[i] = 'ok'
  end
end
return outcomes
