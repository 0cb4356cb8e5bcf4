-- Sets or lifts the cordon of live workers. A cordoned worker claims nothing. Replies how many were found.
local found = 0
for _, consumer in ipairs(args.consumers) do
  local key = K.worker(consumer)
  if redis.call('EXISTS', key) == 1 then
    redis.call('HSET', key, 'cordoned', args.cordoned and '1' or '0')
    found = found + 1
  end
end
return found
