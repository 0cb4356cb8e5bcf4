-- needs: backlog, clock
-- The jobs of the courier, in a queue for each destination.

-- What the courier has to do stands in lines, one for each tenant and place it goes to, so that a slow place
-- holds up no other. A line holds ids by the time they are due; what was taken is due again when its lease
-- ends. `lines_of` knows when the first of each line of a tenant is due, and `lines` whose turn it is: when
-- the first of a tenant became due, or when it was served last.
local function first_of(key)
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  return first[1], tonumber(first[2])
end

local function tenant_of(line) return string.match(line, '^([^|]*)|') or '' end

local this_moment = clock[1] * 1000 + clock[2] / 1000 -- ms; two turns within one are told apart

local function set_turn(kind, tenant, served)
  local _, due_ms = first_of(K.lines_of(kind, tenant))
  local turn = tonumber(redis.call('ZSCORE', K.lines(kind), tenant))
  if not due_ms then
    redis.call('ZREM', K.lines(kind), tenant)
  elseif served and due_ms <= now then
    redis.call('ZADD', K.lines(kind), this_moment, tenant)
  elseif due_ms > now or not turn or turn > this_moment then
    redis.call('ZADD', K.lines(kind), due_ms, tenant)
  end
end

local function refresh_destination(kind, line, served)
  local tenant = tenant_of(line)
  local _, due_ms = first_of(K.line(kind, line))
  if due_ms then
    redis.call('ZADD', K.lines_of(kind, tenant), due_ms, line)
  else
    redis.call('ZREM', K.lines_of(kind, tenant), line)
  end
  set_turn(kind, tenant, served)
end

local function enqueue_job(kind, line, id, due_ms)
  redis.call('ZADD', K.line(kind, line), due_ms, id)
  refresh_destination(kind, line)
end

local function dequeue_job(kind, line, id)
  redis.call('ZREM', K.line(kind, line), id)
  refresh_destination(kind, line)
end

-- Of a URL in its one spelling: see `Target`.
local function authority(url) return string.lower(string.match(url, '^%a+://([^/?#]+)') or '?') end

local function fetch_destination(task) return task.tenant .. '|' .. authority(task.source_url) end

local function enqueue_fetch(id, task, due_ms)
  if redis.call('ZADD', K.fetching(task.pool), 'NX', now, id) == 1 then add_open(task, 'fetching', 1) end
  enqueue_job('fetch', fetch_destination(task), id, due_ms)
end
