-- What stands now of each tenant, and the audio that waits.

-- What of a tenant stands in a pool: `leases:LANE`, `audio_ms:LANE`, `delayed`, `fetching`. A field at zero
-- is removed. Programs of an older release keep none of them: recount sets them right.
local function add_open(task, what, by)
  local key, field = K.tenant_open(task.pool), what .. ':' .. task.tenant
  if redis.call('HINCRBY', key, field, by) <= 0 then redis.call('HDEL', key, field) end
end

local function add_backlog(task, ms)
  redis.call('HINCRBY', K.backlog(task.pool), task.lane .. '_ms', ms)
  add_open(task, 'audio_ms:' .. task.lane, ms)
end
