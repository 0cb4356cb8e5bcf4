-- needs: clock, depths, failover, tenant_view
-- Counts only, of a pool or of one tenant in it. Finished entries are deleted, so XLEN - XPENDING is exactly
-- what is undelivered.
local pool, tenant = args.pool, args.tenant
note_activity(args.lease_ms)
local run = run_id()
local trusted = is_past_grace(run, args.lease_ms) and 1 or 0
-- As in reap: what nobody may take over yet is no orphan.
local until_ms = trusted * now
local oldest = now

local function older(queued_at)
  if queued_at then oldest = math.min(oldest, tonumber(queued_at)) end
end

local function older_tasks(key, last_ms)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', last_ms, 'LIMIT', 0, 16)) do
    older(redis.call('HGET', K.task(id), 'queued_at'))
  end
end

-- How many of those up to `last_ms` are the tenant's. They are few: what has run out is taken over, and what
-- is due is queued, within seconds.
local function own_until(key, last_ms)
  local own = 0
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', last_ms)) do
    local f = redis.call('HMGET', K.task(id), 'tenant', 'queued_at')
    if f[1] == tenant then
      own = own + 1
      older(f[2])
    end
  end
  return own
end

local function whole_lane(lane, undelivered, pending)
  local orphans = math.min(pending, redis.call('ZCOUNT', K.leases(pool, lane), '-inf', until_ms))
  older(redis.call('ZRANGE', K.waiting(pool, lane), 0, 0, 'WITHSCORES')[2])
  older_tasks(K.leases(pool, lane), until_ms)
  return {lane, undelivered, pending - orphans, orphans, held_count(pool, lane),
    tonumber(redis.call('HGET', K.backlog(pool), lane .. '_ms') or 0)}
end

local function own_lane(lane)
  local held = tonumber(redis.call('HGET', K.held_tenants(pool, lane), tenant) or 0)
  local leases = standing(pool, 'leases:' .. lane, tenant)
  local orphans = math.min(leases, own_until(K.leases(pool, lane), until_ms))
  local first = next_of(pool, lane, tenant)
  older(first and string.match(first, '|(%d+)|'))
  older(redis.call('ZRANGE', K.held(pool, lane, tenant), 0, 0, 'WITHSCORES')[2])
  return {lane, waiting_of(pool, lane, tenant) - held, leases - orphans, orphans, held,
    standing(pool, 'audio_ms:' .. lane, tenant)}
end

local signal, signals, lanes = 'ok', {}, {}
for i, lane in ipairs(LANES) do
  local undelivered, pending, state = depth(K.stream(pool, lane))
  signals[state] = (signals[state] or 0) + 1
  lanes[i] = tenant and own_lane(lane) or whole_lane(lane, undelivered, pending)
end
if signals.no_group then signal = 'no_group' elseif signals.no_stream == #LANES then signal = 'no_stream' end

local delayed, due, dead
if tenant then
  delayed, due = standing(pool, 'delayed', tenant), own_until(K.delayed(pool), now)
  dead = tonumber(redis.call('HGET', K.tenant_dead, tenant) or 0)
else
  delayed, due = redis.call('ZCARD', K.delayed(pool)), redis.call('ZCOUNT', K.delayed(pool), '-inf', now)
  dead = redis.call('XLEN', K.dead)
  older_tasks(K.delayed(pool), now)
end
return {signal, run, trusted, lanes, delayed, due, dead, now - oldest}
