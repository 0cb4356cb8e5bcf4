-- needs: callers
-- Callers that are still connected. One that is not known, because it has its reply, stays unknown.
for _, item in ipairs(args.callers) do
  if redis.call('ZSCORE', K.callers(item.task_id), item.caller) then
    attend(item.task_id, item.caller, args.lease_ms, args.grace_ms)
  end
end
return 'ok'
