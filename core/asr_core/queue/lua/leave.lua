-- needs: callers, clock, tasks
-- A caller leaves, with its whole reply or without.
local id = args.task_id
if args.answered then
  redis.call('ZREM', K.callers(id), args.caller)
elseif redis.call('ZSCORE', K.callers(id), args.caller) then
  redis.call('ZADD', K.callers(id), now, args.caller)
end
local task = read(id)
if task and is_open(task) then
  redis.call('ZADD', K.attended, 'XX', last_lease(id) + args.grace_ms, id)
elseif redis.call('ZCARD', K.callers(id)) == 0 then
  unattend(id)
end
return 'ok'
