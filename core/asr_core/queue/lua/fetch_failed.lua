-- needs: clock, destinations, ending, tasks
-- A fetch that did not bring a recording: `postpone` costs no try, `transient` may be tried `retry_limit`
-- times again, `permanent` ends the task. Replies {outcome, how it stands now}.
local id = args.task_id
local task = read(id)
if not task then return {'gone', ''} end
if task.state == 'cancelled' then return {'cancelled', ''} end
if task.fetch_token ~= args.token then return {'fenced', ''} end
if task.state ~= 'fetching' then return {'ok', task.state} end
local tries = task.fetch_tries + (args.kind == 'transient' and 1 or 0)
if args.kind == 'permanent' or tries > args.retry_limit then
  redis.call('HSET', K.task(id), 'error_code', args.code, 'error_message', args.message)
  close(id, task, 'failed')
  return {'ok', 'failed'}
end
redis.call('HSET', K.task(id), 'fetch_tries', tries, 'fetch_token', '')
local delay_ms = args.backoff_ms
if args.kind == 'transient' then delay_ms = delay_ms * 2 ^ (tries - 1) end
enqueue_job('fetch', fetch_destination(task), id, math.floor(now + math.max(delay_ms * args.jitter, args.not_before_ms)))
return {'ok', 'fetching'}
