-- needs: attempts, leases, replies, tasks
-- Hands tasks back at once: lease 0, token cleared, attempt refunded. Replies one outcome per task.
local outcomes = {}
for i, item in ipairs(args.tasks) do
  local id = item.task_id
  local task = read(id)
  if not task then
    outcomes[i] = 'gone'
  elseif task.state == 'cancelled' then
    outcomes[i] = 'cancelled'
  elseif task.state ~= 'processing' or task.token ~= item.token then
    outcomes[i] = 'fenced'
  else
    try('XCLAIM', K.stream(task.pool, task.lane), GROUP, task.owner, 0, task.entry,
      'IDLE', args.lease_ms, 'JUSTID')
    start_lease(id, task, 0)
    set_state(id, task, 'queued')
    redis.call('HSET', K.task(id), 'owner', '', 'token', '', 'worker', '', 'progress', '0',
      'attempt', math.max(0, task.attempt - 1))
    if must_run_alone(task) then redis.call('ZADD', K.solo(task.pool), task.queued_at, id) end
    announce(id, 'queued', '0')
    redis.call('PUBLISH', K.wake(task.pool), '1')
    outcomes[i] = 'ok'
  end
end
return outcomes
