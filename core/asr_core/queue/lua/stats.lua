-- needs: depths, tenant_view
-- A pool's buckets from `first` to `last` (Unix seconds), each of `step` seconds, empty ones left out; with
-- `tenant`, what happened to its tasks. Replies JSON, {"open": how many tasks are open now, "buckets":
-- [[at, [field, value, …]], …]}: a day of them as Redis's own arrays costs the reader a second.
local pool, tenant = args.pool, args.tenant
local found = {}
for at = args.first, args.last, args.step do
  local fields = redis.call('HGETALL', tenant and K.tenant_stats(pool, tenant, at) or K.stats(pool, at))
  if fields[1] then found[#found + 1] = {at, fields} end
end
local buckets = found[1] and cjson.encode(found) or '[]' -- an empty table would be an object
local open = tenant and open_in(pool, tenant) or open_count(pool)
return '{"open":' .. open .. ',"buckets":' .. buckets .. '}'
