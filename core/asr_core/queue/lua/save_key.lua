-- needs: clock
-- Records a new key under its digest. With `replaces`, the id of another, that one ends after `grace_ms`
-- at the latest, and the new one takes its name, tenant and scopes. A key that has ended stays to be
-- looked at for thirty days. Replies the new record, as HGETALL; nothing where `replaces` names none.
local KEPT_MS = 30 * 86400000
local key = args.key

local function expire(digest, at)
  redis.call('HSET', K.api_key(digest), 'expires_at', at)
  redis.call('PEXPIREAT', K.api_key(digest), at + KEPT_MS)
end

if args.replaces ~= '' then
  local digest = redis.call('HGET', K.api_keys, args.replaces)
  local old = digest and redis.call('HMGET', K.api_key(digest), 'name', 'tenant', 'scopes', 'expires_at')
  if not old or not old[1] then return {} end
  key.name, key.tenant, key.scopes = old[1], old[2], old[3]
  local ends = now + args.grace_ms
  if old[4] and tonumber(old[4]) < ends then ends = tonumber(old[4]) end
  expire(digest, string.format('%d', ends))
end
redis.call('HSET', K.api_key(args.digest), 'id', key.id, 'name', key.name, 'tenant', key.tenant,
  'scopes', key.scopes, 'created_at', now)
redis.call('HSET', K.api_keys, key.id, args.digest)
if args.lasts_ms > 0 then expire(args.digest, string.format('%d', now + args.lasts_ms)) end
return redis.call('HGETALL', K.api_key(args.digest))
