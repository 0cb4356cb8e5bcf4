-- needs: ending, tasks
-- Removes the records of marked tasks (see discard), and history entries that lead to no record.
-- Replies how many records it removed.
local removed = 0
for _, id in ipairs(args.ids) do
  local task = read(id)
  if not task then
    redis.call('ZREM', K.history(args.tenant, ''), id)
    redis.call('ZREM', K.history(args.tenant, args.state), id)
  elseif redis.call('HEXISTS', K.task(id), 'audio_deleted_at') == 1 then
    forget(id, task)
    removed = removed + 1
  end
end
return removed
