-- needs: clock, destinations
-- Whose job is next, and webhooks on their way.

-- Tenants with something due, by their turns. A member that is a line is of a release whose `lines` held
-- lines: it joins those of its tenant.
local function due_tenants(kind)
  local tenants = {}
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', K.lines(kind), '-inf', this_moment, 'LIMIT', 0, 1000)) do
    if redis.call('EXISTS', K.lines_of(kind, member)) == 1 then
      tenants[#tenants + 1] = member
    else
      redis.call('ZREM', K.lines(kind), member)
      if redis.call('EXISTS', K.line(kind, member)) == 1 then refresh_destination(kind, member) end
    end
  end
  return tenants
end

-- The first id that is due of a tenant, from a line that has fewer than `per_line` in hand.
local function take_one(kind, tenant, to)
  for _, line in ipairs(redis.call('ZRANGEBYSCORE', K.lines_of(kind, tenant), '-inf', now, 'LIMIT', 0, 1000)) do
    local busy = to.busy[line] or 0
    local id, due_ms = first_of(K.line(kind, line))
    if not id or due_ms > now then
      refresh_destination(kind, line)
    elseif busy < to.per_line then
      redis.call('ZADD', K.line(kind, line), now + to.lease_ms, id)
      refresh_destination(kind, line, true)
      to.busy[line] = busy + 1
      return {id, line}
    end
  end
end

-- Up to `limit` ids that are due. The caller has those in hand that `busy` counts by line. A slot goes to the
-- tenant that has the fewest in hand, of several to the one whose turn came first; and the last `reserved`
-- slots only to tenants that have none.
local function take_due(kind, to)
  local taken, in_hand, tenants = {}, {}, due_tenants(kind)
  for line, busy in pairs(to.busy) do
    in_hand[tenant_of(line)] = (in_hand[tenant_of(line)] or 0) + busy
  end
  while #taken < to.limit do
    local best
    for i, tenant in ipairs(tenants) do
      if not best or (in_hand[tenant] or 0) < (in_hand[tenants[best]] or 0) then best = i end
    end
    if not best then break end
    local tenant = tenants[best]
    local has = in_hand[tenant] or 0
    if has > 0 and to.limit - #taken <= to.reserved then break end
    local item = take_one(kind, tenant, to)
    table.remove(tenants, best)
    if item then
      taken[#taken + 1] = item
      in_hand[tenant] = has + 1
      tenants[#tenants + 1] = tenant
    end
  end
  return taken
end

-- Webhooks on their way are counted by tenant, so that those of one that fail do not take all the room.
local function count_webhook(line, by)
  local left = redis.call('HINCRBY', K.webhook_counts, tenant_of(line), by)
  if left <= 0 then redis.call('HDEL', K.webhook_counts, tenant_of(line)) end
  return left
end

local DEAD_WEBHOOKS = 10000

local function dead_letter_webhook(id)
  redis.call('XADD', K.webhooks_dead, 'MAXLEN', DEAD_WEBHOOKS, '*', unpack(redis.call('HGETALL', K.webhook(id))))
end

local function forget_webhook(id, line)
  dequeue_job('webhook', line, id)
  redis.call('ZREM', K.webhooks, id)
  redis.call('DEL', K.webhook(id))
  count_webhook(line, -1)
end
