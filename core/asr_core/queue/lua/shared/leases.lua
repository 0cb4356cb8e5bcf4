-- needs: backlog
-- Leases of a pool, counted for their tenants.

-- Places of an open task, beside that in the stream.
local function start_lease(id, task, until_ms)
  if redis.call('ZADD', K.leases(task.pool, task.lane), until_ms, id) == 1 then
    add_open(task, 'leases:' .. task.lane, 1)
  end
end

local function end_lease(id, task)
  if redis.call('ZREM', K.leases(task.pool, task.lane), id) == 1 then
    add_open(task, 'leases:' .. task.lane, -1)
  end
end

-- Its lease stays as it is; without one, it has run out at `until_ms`.
local function keep_lease(id, task, until_ms)
  if not redis.call('ZSCORE', K.leases(task.pool, task.lane), id) then start_lease(id, task, until_ms) end
end
