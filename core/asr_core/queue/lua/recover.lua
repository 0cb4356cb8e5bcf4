-- needs: replies, tasks
-- What was begun for this consumer, for a worker whose reply was lost. Replies as claim does.
local claims = {}
for _, lane in ipairs(LANES) do
  local stream = K.stream(args.pool, lane)
  local from = '-'
  while true do
    local pending = try('XPENDING', stream, GROUP, from, '+', 1000, args.consumer)
    if pending.err or #pending == 0 then break end
    for _, item in ipairs(pending) do
      local entry = redis.call('XRANGE', stream, item[1], item[1])[1]
      if entry then
        local id = entry[2][2]
        local task = read(id)
        if task and task.state == 'processing' and task.owner == args.consumer and task.entry == item[1] then
          claims[#claims + 1] = {task.token, tonumber(task.solo) or 0, redis.call('HGETALL', K.task(id))}
        end
      end
    end
    from = '(' .. pending[#pending][1]
  end
end
return claims
