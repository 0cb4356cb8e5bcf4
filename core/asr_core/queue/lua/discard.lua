-- needs: clock, tasks, tenants
-- Marks finished tasks whose recording is about to be deleted: no marked task is ever queued again.
-- One that does not stand as it was seen is left alone: a retry takes `finished_at` away, the next
-- end sets another. Replies 1 or 0 for each.
local marked = {}
for i, item in ipairs(args.tasks) do
  marked[i] = 0
  if redis.call('HGET', K.task(item.task_id), 'finished_at') == item.finished_at then
    if redis.call('HSETNX', K.task(item.task_id), 'audio_deleted_at', now) == 1 then
      local task = read(item.task_id)
      store_bytes(item.task_id, task.tenant, -task.bytes)
    end
    marked[i] = 1
  end
end
return marked
