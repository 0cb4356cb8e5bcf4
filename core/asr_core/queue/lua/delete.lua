-- needs: ending, tasks
-- Removes a task and every trace of it in Redis, cancelling it first. Replies {verdict, hash}. For an hour
-- a mark keeps a copy of its submit that is still under way from bringing it back.
local id = args.task_id
local task = read(id)
if not task or (args.tenant ~= '' and task.tenant ~= args.tenant) then return {'missing', {}} end
if is_open(task) then close(id, task, 'cancelled') end
local hash = redis.call('HGETALL', K.task(id))
forget(id, task)
redis.call('SET', K.deleted(id), '1', 'EX', 3600)
return {'ok', hash}
