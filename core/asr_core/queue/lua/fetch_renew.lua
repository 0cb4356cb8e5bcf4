-- needs: clock, destinations, tasks
-- Renews the lease on one fetch. Replies ok, or why it is to be dropped: gone, cancelled, fenced.
local task = read(args.task_id)
if not task then return 'gone' end
if task.state == 'cancelled' then return 'cancelled' end
if task.state ~= 'fetching' or task.fetch_token ~= args.token then return 'fenced' end
enqueue_job('fetch', fetch_destination(task), args.task_id, now + args.lease_ms)
return 'ok'
