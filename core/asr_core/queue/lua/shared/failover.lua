-- needs: clock
-- No lease is judged right after Redis was unavailable.

local function run_id() return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') end

-- Leases run on while Redis is down, hangs or refuses writes, and nobody can renew them. None is judged
-- within one lease of first seeing a run id, or of a silence: in health somebody writes every second.
local SILENCE_MS = 2000

local function note_activity(lease_ms)
  local last = tonumber(redis.call('HGET', K.seen, 'last') or now)
  if now - last > math.max(lease_ms / 2, SILENCE_MS) then redis.call('HSET', K.seen, run_id(), now) end
  redis.call('HSET', K.seen, 'last', now)
end

local function is_past_grace(id, lease_ms)
  local since = redis.call('HGET', K.seen, id)
  if not since then
    redis.call('DEL', K.seen)
    redis.call('HSET', K.seen, id, now)
    return false
  end
  return now - tonumber(since) >= lease_ms
end
