-- Counts only. Finished entries are deleted, so XLEN - XPENDING is exactly what is undelivered.
local pool = args.pool
witness(args.lease_ms)
local run = run_id()
local trusted = is_trusted(run, args.lease_ms) and 1 or 0
-- As in reap: what nobody may take over yet is no orphan.
local until_ms = trusted * now
local lanes, signal, oldest = {}, 'ok', now

local function older(id)
  local queued_at = redis.call('HGET', K.task(id), 'queued_at')
  if queued_at then oldest = math.min(oldest, tonumber(queued_at)) end
end

local signals = {}
for i, lane in ipairs(LANES) do
  local undelivered, pending, state = depth(K.stream(pool, lane))
  local orphans = math.min(pending, redis.call('ZCOUNT', K.leases(pool, lane), '-inf', until_ms))
  signals[state] = (signals[state] or 0) + 1
  lanes[i] = {lane, undelivered, pending - orphans, orphans, held_count(pool, lane),
    tonumber(redis.call('HGET', K.backlog(pool), lane .. '_ms') or 0)}
  local first = redis.call('ZRANGE', K.waiting(pool, lane), 0, 0, 'WITHSCORES')
  if first[2] then oldest = math.min(oldest, tonumber(first[2])) end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', K.leases(pool, lane), '-inf', until_ms, 'LIMIT', 0, 16)) do
    older(id)
  end
end
if signals.no_group then signal = 'no_group' elseif signals.no_stream == #LANES then signal = 'no_stream' end
local due = redis.call('ZRANGEBYSCORE', K.delayed(pool), '-inf', now, 'LIMIT', 0, 16)
for _, id in ipairs(due) do older(id) end
return {signal, run, trusted, lanes,
  redis.call('ZCARD', K.delayed(pool)), redis.call('ZCOUNT', K.delayed(pool), '-inf', now),
  redis.call('XLEN', K.dead), now - oldest}
