-- needs: clock, courier, destinations
-- Moves what the outbox brought into the lines of tenants and receivers, and takes what is due. Replies a
-- list of flat hashes. An entry leaves the outbox in the script that lines it up: none is lost, none comes
-- twice. Where a tenant has more than `tenant_capacity` on their way, the newest are given up at once.
local room = math.min(args.capacity - redis.call('ZCARD', K.webhooks), 1000)
local entries = room > 0 and redis.call('XRANGE', K.outbox, '-', '+', 'COUNT', room) or {}
for _, entry in ipairs(entries) do
  local f = {}
  for i = 1, #entry[2], 2 do f[entry[2][i]] = entry[2][i + 1] end
  local id = 'msg_' .. string.gsub(f.task_id, '-', '') .. '_' .. entry[1]
  f.tenant = f.tenant or redis.call('HGET', K.task(f.task_id), 'tenant') or ''
  local at, line = string.match(entry[1], '%d+'), f.tenant .. '|' .. authority(f.url)
  redis.call('HSET', K.webhook(id), 'id', id, 'task_id', f.task_id, 'state', f.state, 'url', f.url,
    'at', at, 'code', f.code or '', 'message', f.message or '', 'line', line, 'attempts', 0)
  redis.call('ZADD', K.webhooks, at, id)
  enqueue_job('webhook', line, id, now)
  if count_webhook(line, 1) > args.tenant_capacity then
    redis.call('HSET', K.webhook(id), 'reason', 'too many webhooks of this tenant wait already')
    dead_letter_webhook(id)
    forget_webhook(id, line)
  end
  redis.call('XDEL', K.outbox, entry[1])
end

local taken = {}
for i, item in ipairs(take_due('webhook', args)) do
  local id, line = unpack(item)
  if redis.call('EXISTS', K.webhook(id)) == 1 then
    redis.call('HSET', K.webhook(id), 'token', args.token .. ':' .. i)
    taken[#taken + 1] = redis.call('HGETALL', K.webhook(id))
  else
    dequeue_job('webhook', line, id)
  end
end
return taken
