-- needs: backlog
-- Tasks that back off.

local function leave_delayed(id, task)
  if redis.call('ZREM', K.delayed(task.pool), id) == 1 then add_open(task, 'delayed', -1) end
end
