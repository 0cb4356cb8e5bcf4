-- Forgets a key, by its id. Replies 1 if there was one.
local digest = redis.call('HGET', K.api_keys, args.id)
if not digest then return 0 end
redis.call('HDEL', K.api_keys, args.id)
return redis.call('DEL', K.api_key(digest))
