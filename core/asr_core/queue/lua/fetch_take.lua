-- needs: courier, destinations, tasks
-- Takes tasks whose recording is to be fetched and is due. Replies a list of
-- {token, line, flat hash}.
local taken = {}
for i, item in ipairs(take_due('fetch', args)) do
  local id, line = unpack(item)
  local task = read(id)
  if task and task.state == 'fetching' then
    local token = args.token .. ':' .. i
    redis.call('HSET', K.task(id), 'fetch_token', token)
    taken[#taken + 1] = {token, line, redis.call('HGETALL', K.task(id))}
  else
    dequeue_job('fetch', line, id)
  end
end
return taken
