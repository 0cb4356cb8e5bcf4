-- Removes a task and every trace of it in Redis, cancelling it first. Replies {verdict, hash}.
local id = args.task_id
local task = read(id)
if not task or (args.tenant ~= '' and task.tenant ~= args.tenant) then return {'missing', {}} end
if is_open(task) then close(id, task, 'cancelled') end
local hash = redis.call('HGETALL', K.task(id))
redis.call('ZREM', K.history(task.tenant, ''), id)
redis.call('ZREM', K.history(task.tenant, task.state), id)
if task.dead ~= '' then redis.call('XDEL', K.dead, task.dead) end
if task.idempotency_key ~= '' then
  local key = K.idempotency(task.tenant, task.idempotency_key)
  if redis.call('HGET', key, 'task_id') == id then redis.call('DEL', key) end
end
redis.call('DEL', K.task(id))
announce(id, 'deleted', '0')
return {'ok', hash}
