-- needs: clock, failover, leases, replies, tasks
-- Renews leases after checking owner and token (an unchecked XCLAIM lets a stale worker steal back).
-- Replies one outcome per task.
note_activity(args.lease_ms)
local outcomes = {}
for i, item in ipairs(args.tasks) do
  local task = read(item.task_id)
  if not task then
    outcomes[i] = 'gone'
  elseif task.state == 'cancelled' then
    outcomes[i] = 'cancelled'
  elseif task.state ~= 'processing' or task.token ~= item.token or task.owner ~= args.consumer then
    outcomes[i] = 'fenced'
  else
    try('XCLAIM', K.stream(task.pool, task.lane), GROUP, args.consumer, 0, task.entry, 'JUSTID')
    start_lease(item.task_id, task, now + args.lease_ms)
    if item.progress ~= task.progress then
      redis.call('HSET', K.task(item.task_id), 'progress', item.progress)
      announce(item.task_id, 'processing', item.progress)
    end
    outcomes[i] = 'ok'
  end
end
return outcomes
