-- Counts the dead letters of each tenant anew, where their sum is not that of all, or with `force`: programs
-- of an older release do not keep these counters. Replies how many were off.
local sum = 0
for _, letters in ipairs(redis.call('HVALS', K.tenant_dead)) do sum = sum + letters end
if not args.force and sum == redis.call('XLEN', K.dead) then return 0 end

local counts, from = {}, '-'
while true do
  local entries = redis.call('XRANGE', K.dead, from, '+', 'COUNT', 1000)
  for _, entry in ipairs(entries) do
    local tenant = redis.call('HGET', K.task(entry[2][2]), 'tenant') or '' -- '' of no task that is known
    counts[tenant] = (counts[tenant] or 0) + 1
  end
  if #entries < 1000 then break end
  from = '(' .. entries[#entries][1]
end
local wrong = 0
for _, tenant in ipairs(redis.call('HKEYS', K.tenant_dead)) do
  if not counts[tenant] then wrong = wrong + redis.call('HDEL', K.tenant_dead, tenant) end
end
for tenant, letters in pairs(counts) do
  if tonumber(redis.call('HGET', K.tenant_dead, tenant) or 0) ~= letters then
    redis.call('HSET', K.tenant_dead, tenant, letters)
    wrong = wrong + 1
  end
end
return wrong
