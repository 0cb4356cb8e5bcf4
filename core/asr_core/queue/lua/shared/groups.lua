-- needs: replies
-- The consumer group of a stream.

-- One that is missing from a stream that stands was destroyed: reconcile tells how often that was.
local function ensure_group(stream)
  local stood = redis.call('EXISTS', stream) == 1
  local made = try('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM')
  if stood and not made.err then redis.call('INCR', K.remade) end
end
