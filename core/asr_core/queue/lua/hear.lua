-- What the attempt under way has said, from text number `first` on where it is still attempt `token`, else
-- from the beginning. Replies {token, texts}; a stale attempt has said nothing.
local key = K.partials(args.task_id)
local token = redis.call('HGET', K.task(args.task_id), 'token')
if not token or token == '' or redis.call('LINDEX', key, 0) ~= token then return {'', {}} end
local first = token == args.token and args.first or 0
return {token, redis.call('LRANGE', key, first + 1, -1)}
