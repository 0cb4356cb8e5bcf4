-- Removes a task and every trace of it in Redis, cancelling it first. Replies {verdict, hash}.
local id = args.task_id
local task = read(id)
if not task or (args.tenant ~= '' and task.tenant ~= args.tenant) then return {'missing', {}} end
if is_open(task) then close(id, task, 'cancelled') end
local hash = redis.call('HGETALL', K.task(id))
forget(id, task)
return {'ok', hash}
