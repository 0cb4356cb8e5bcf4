-- needs: tasks
-- Adds what an attempt has transcribed so far, in order, to what it said before; `first` is how many
-- texts came before. The list begins with the attempt's token. Replies 'ok', or 'over' where nobody reads it.
local task = read(args.task_id)
if not task or task.state ~= 'processing' or task.token ~= args.token then return 'over' end
local key = K.partials(args.task_id)
if redis.call('LINDEX', key, 0) ~= args.token then
  redis.call('DEL', key)
  redis.call('RPUSH', key, args.token)
end
local said = redis.call('LLEN', key) - 1
if args.first > said or said > args.limit then return 'over' end
for i, text in ipairs(args.texts) do
  if args.first + i > said then redis.call('RPUSH', key, text) end
end
redis.call('PEXPIRE', key, args.ttl_ms)
announce(args.task_id, 'processing', task.progress)
return 'ok'
