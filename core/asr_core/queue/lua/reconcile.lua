-- needs: attempts, backlog, clock, destinations, fair_share, groups, leases, replies, tasks
-- Looks at open tasks (`ids`) and queues again what stands nowhere. Replies {readded, forgotten}.
local readded, forgotten = 0, 0

local function is_delivered(stream, entry)
  local pending = try('XPENDING', stream, GROUP, entry, entry, 1)
  return not pending.err and #pending == 1
end

local function was_read(stream, entry)
  local groups = try('XINFO', 'GROUPS', stream)
  if groups.err then return false end
  for _, group in ipairs(groups) do
    local info = {}
    for i = 1, #group, 2 do info[group[i]] = group[i + 1] end
    if info.name == GROUP then
      local ms, seq = string.match(entry, '(%d+)-(%d+)')
      local last_ms, last_seq = string.match(info['last-delivered-id'], '(%d+)-(%d+)')
      ms, seq, last_ms, last_seq = tonumber(ms), tonumber(seq), tonumber(last_ms), tonumber(last_seq)
      return ms < last_ms or (ms == last_ms and seq <= last_seq)
    end
  end
  return false
end

-- An entry of a deleted stream may have a namesake in the new one: it is another task's, and stays.
local function has_entry(stream, id, task)
  if task.entry == '' then return false end
  local found = redis.call('XRANGE', stream, task.entry, task.entry)[1]
  if found and found[2][2] ~= id then task.entry = '' end
  return found and task.entry ~= ''
end

local function stands(id, task)
  local pool, lane = task.pool, task.lane
  local stream = K.stream(pool, lane)
  if task.state == 'fetching' then
    if not redis.call('ZSCORE', K.line('fetch', fetch_destination(task)), id) then return false end
    if redis.call('ZADD', K.fetching(pool), 'NX', now, id) == 1 then add_open(task, 'fetching', 1) end
    refresh_destination('fetch', fetch_destination(task))
    return true
  end
  local lease = redis.call('ZSCORE', K.leases(pool, lane), id)
  if task.state == 'processing' then
    if lease and tonumber(lease) > now then return true end
    if has_entry(stream, id, task) and is_delivered(stream, task.entry) then
      if not lease then start_lease(id, task, now) end
      return true
    end
    return false
  end
  if redis.call('ZSCORE', K.delayed(pool), id) then return true end
  if redis.call('ZSCORE', K.held(pool, lane, task.tenant), id) then
    redis.call('ZADD', K.waiting(pool, lane), 'NX', task.queued_at, id)
    return true
  end
  if not has_entry(stream, id, task) then return false end
  if is_delivered(stream, task.entry) then
    stop_waiting(id, task)
    keep_lease(id, task, 0)
    return true
  end
  end_lease(id, task)
  redis.call('ZADD', K.waiting(pool, lane), 'NX', task.queued_at, id)
  return not was_read(stream, task.entry)
end

for _, id in ipairs(args.ids) do
  local task = read(id)
  if not task or not is_open(task) then
    redis.call('ZREM', K.history(args.tenant, args.state), id)
    forgotten = forgotten + 1
  elseif not stands(id, task) then
    if task.state == 'fetching' then
      enqueue_fetch(id, task, now)
    else
      ensure_group(K.stream(task.pool, task.lane))
      reopen(id, task, args.window)
    end
    readded = readded + 1
  end
end
return {readded, forgotten}
