-- Marks finished tasks whose recording is about to be deleted: no marked task is ever queued again.
-- One that does not stand as it was seen is left alone: a retry takes `finished_at` away, the next
-- end sets another. Replies 1 or 0 for each.
local marked = {}
for i, item in ipairs(args.tasks) do
  marked[i] = 0
  if redis.call('HGET', K.task(item.task_id), 'finished_at') == item.finished_at then
    redis.call('HSETNX', K.task(item.task_id), 'audio_deleted_at', now)
    marked[i] = 1
  end
end
return marked
