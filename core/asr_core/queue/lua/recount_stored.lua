-- The next `count` tasks of a tenant's recount of stored bytes. It goes through the ids in their order, in
-- as many calls as it takes, while tasks come and go: what changes behind the cursor is added by
-- `store_bytes`, what lies before it is seen later. Replies {done, whether the counter had drifted}.
local key, ids = K.recount(args.tenant), {}
local cursor = redis.call('HGET', key, 'cursor')
if not cursor then redis.call('HSET', key, 'cursor', '', 'bytes', 0) end
local after = (cursor and cursor ~= '') and '(' .. cursor or '-'
ids = redis.call('ZRANGE', K.history(args.tenant, ''), after, '+', 'BYLEX', 'LIMIT', 0, args.count)
local bytes = 0
for _, id in ipairs(ids) do
  local f = redis.call('HMGET', K.task(id), 'bytes', 'audio_deleted_at')
  if not f[2] then bytes = bytes + (tonumber(f[1]) or 0) end
end
local total = redis.call('HINCRBY', key, 'bytes', string.format('%d', bytes))
if #ids == args.count then
  redis.call('HSET', key, 'cursor', ids[#ids])
  redis.call('EXPIRE', key, 3600)
  return {0, 0}
end
redis.call('DEL', key)
if total == tonumber(redis.call('HGET', K.tenant_stored, args.tenant) or 0) then return {1, 0} end
if total == 0 then
  redis.call('HDEL', K.tenant_stored, args.tenant)
else
  redis.call('HSET', K.tenant_stored, args.tenant, string.format('%d', total))
end
return {1, 1}
