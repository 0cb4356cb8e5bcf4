-- needs: callers, clock, ending, failover, tasks
-- Cancels tasks whose last caller left, or died, `grace_ms` ago; forgets what is over. Replies their ids.
-- Leases run on while Redis is away: until it is trusted, nobody counts as gone.
if not is_past_grace(run_id(), args.grace_ms) then return {} end
local cancelled = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', K.attended, '-inf', now, 'LIMIT', 0, args.limit)) do
  local task = read(id)
  local again = 0
  if task and is_open(task) then
    again = last_lease(id) + args.grace_ms
    if again <= now then
      close(id, task, 'cancelled')
      cancelled[#cancelled + 1] = id
    end
  elseif task and task.state == 'completed' and redis.call('ZCARD', K.callers(id)) > 0 then
    again = tonumber(redis.call('HGET', K.task(id), 'finished_at') or 0) + args.owed_ms
  end
  if again > now then redis.call('ZADD', K.attended, again, id) else unattend(id) end
end
return cancelled
