-- needs: callers
-- Replies the id of the run that this caller waits for from now on, or ''.
local id = joinable(args.tenant, args.fingerprint, args.caller.owed_ms)
if not id then return '' end
join(id, args.caller)
return id
