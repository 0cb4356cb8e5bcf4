-- needs: groups
-- Writes the schema's version where there is none or an older one, makes the groups of `pools` and, with
-- `publish`, records these as all there are. Replies the version found; nothing is done two versions apart.
local found = tonumber(redis.call('GET', K.schema) or args.version)
if math.abs(found - args.version) > 1 then return found end
if found < args.version or redis.call('EXISTS', K.schema) == 0 then
  redis.call('SET', K.schema, args.version)
end
for _, pool in ipairs(args.pools) do
  for _, lane in ipairs(LANES) do ensure_group(K.stream(pool, lane)) end
end
if args.publish then
  redis.call('DEL', K.pools)
  redis.call('SADD', K.pools, unpack(args.pools))
end
return found
