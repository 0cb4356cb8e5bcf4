-- Refused by a Redis that is full, cannot write its file or is a replica, as submit would be.
-- Replies the schema's version, or nothing.
return redis.call('GET', K.schema)
