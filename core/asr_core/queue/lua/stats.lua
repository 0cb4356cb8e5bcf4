-- A pool's ten-second buckets from `first` to `last` (Unix seconds), empty ones left out. Replies JSON,
-- {"open": how many tasks are open now, "buckets": [[at, [field, value, …]], …]}: a day of them as
-- Redis's own arrays costs the reader a second.
local found = {}
for at = args.first, args.last, 10 do
  local fields = redis.call('HGETALL', K.stats(args.pool, at))
  if fields[1] then found[#found + 1] = {at, fields} end
end
local buckets = found[1] and cjson.encode(found) or '[]' -- an empty table would be an object
return '{"open":' .. open_count(args.pool) .. ',"buckets":' .. buckets .. '}'
