-- needs: clock
-- What happens to tasks, counted for the platform and for each tenant.

-- What happens to tasks, kept for a day: of a pool in buckets of ten seconds, of a tenant in a pool in
-- buckets of a minute.
local STATS_KEPT_SECONDS = 86400

local function count(task, field, by)
  local seconds = math.floor(now / 1000)
  for _, key in ipairs({K.stats(task.pool, seconds - seconds % 10),
      K.tenant_stats(task.pool, task.tenant, seconds - seconds % 60)}) do
    if redis.call('HINCRBY', key, field, by) == by then redis.call('EXPIRE', key, STATS_KEPT_SECONDS) end
  end
end

-- Half powers of two of a millisecond: bucket i holds up to 2^(i/2) ms.
local function observe(task, name, ms)
  count(task, name .. '_ms', ms)
  count(task, name .. ':' .. math.ceil(2 * math.log(math.max(ms, 1)) / math.log(2)), 1)
end

-- Since ever; those of a tenant are forgotten with its usage, and say since when they count.
local TENANT_KEPT_SECONDS = 400 * 86400

local function total(task, field, by)
  redis.call('HINCRBY', K.totals, field, by)
  local key = K.tenant_totals(task.tenant)
  redis.call('HSETNX', key, 'since', now)
  redis.call('HINCRBY', key, field, by)
  redis.call('EXPIRE', key, TENANT_KEPT_SECONDS)
end
