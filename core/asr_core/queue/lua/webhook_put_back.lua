-- needs: clock, courier, destinations
-- Dead webhooks get all their tries again, under their old ids. Replies the ids.
local found = {}
for _, place in ipairs(args.places) do
  local entry = redis.call('XRANGE', K.webhooks_dead, place, place)[1]
  if entry then
    local f = {}
    for i = 1, #entry[2], 2 do f[entry[2][i]] = entry[2][i + 1] end
    redis.call('HSET', K.webhook(f.id), unpack(entry[2]))
    redis.call('HSET', K.webhook(f.id), 'attempts', 0)
    redis.call('ZADD', K.webhooks, f.at, f.id)
    count_webhook(f.line, 1)
    enqueue_job('webhook', f.line, f.id, now)
    redis.call('XDEL', K.webhooks_dead, place)
    found[#found + 1] = f.id
  end
end
return found
