-- needs: attempts, clock, depths, failover, fair_share, groups, leases, tasks
-- Reads the lanes fairly and begins what it takes. Replies a list of {token, solo, hash}. `kept_for`: only
-- interactive tasks, of tenants that have fewer than `kept_each` of them in hand by it; the others' entries
-- go to the end of the stream.
local to = args
note_activity(to.lease_ms)
if is_cordoned(to.consumer) or to.room_tasks <= 0 or to.room_ms <= 0 then return {} end
local alone = take_alone(to)
if alone == true then return {} end
if alone then return {alone} end
move_due(to.pool, 100, to.window)

local ready, waiting = {}, 0
for _, lane in ipairs(LANES) do
  local stream = K.stream(to.pool, lane)
  local undelivered, _, signal = depth(stream)
  if signal == 'no_group' then ensure_group(stream) end
  ready[lane] = undelivered
  waiting = waiting + undelivered + held_count(to.pool, lane)
end
local live = math.max(1, redis.call('ZCOUNT', K.workers(to.pool), now, '+inf'))
local limit = math.min(to.room_tasks, math.ceil(waiting / live))

-- Of twenty turns one begins with the lowest lane and four with the middle one; the others by priority.
local function lanes_by_turn(turn)
  if to.kept_for then return {'interactive'} end
  local first = nil
  if turn % 20 == 19 then first = 'batch' elseif turn % 5 == 3 then first = 'normal' end
  local order = {first}
  for _, lane in ipairs(LANES) do
    if lane ~= first then order[#order + 1] = lane end
  end
  return order
end

local function next_entry(turn)
  for _, lane in ipairs(lanes_by_turn(turn)) do
    if ready[lane] > 0 then
      local reply = redis.call('XREADGROUP', 'GROUP', GROUP, to.consumer, 'COUNT', 1,
        'STREAMS', K.stream(to.pool, lane), '>')
      if reply and reply[1] and reply[1][2][1] then return lane, reply[1][2][1] end
      ready[lane] = 0
    end
  end
end

local claims, taken_ms = {}, 0
-- Each entry once: those that are passed over keep their order.
local looks = to.kept_for and math.min(ready.interactive, 64) or math.huge

local function pass_over(id, task, entry)
  local stream = K.stream(to.pool, task.lane)
  redis.call('XACK', stream, GROUP, entry)
  redis.call('XDEL', stream, entry)
  redis.call('HINCRBY', K.undelivered(to.pool, task.lane), task.tenant, -1)
  append(id, task)
end

local function in_hand_of(tenant) return to.kept_for[tenant] or 0 end

local turn = tonumber(redis.call('GET', K.turn(to.pool)) or 0)
while #claims < limit and taken_ms < to.room_ms and looks > 0 do
  local lane, entry = next_entry(turn)
  if not lane then break end
  looks = looks - 1
  local id = entry[2][2]
  local task = read(id)
  if not task or not is_open(task) or task.entry ~= entry[1] then
    redis.call('XACK', K.stream(to.pool, lane), GROUP, entry[1])
    redis.call('XDEL', K.stream(to.pool, lane), entry[1])
  elseif task.state == 'processing' then
    -- A re-created group delivers it again: its lease decides. Its owner's next renewal takes the entry back.
    keep_lease(id, task, now)
  elseif to.kept_for and in_hand_of(task.tenant) >= to.kept_each then
    pass_over(id, task, entry[1])
  else
    if to.kept_for then to.kept_for[task.tenant] = in_hand_of(task.tenant) + 1 end
    delivered(to.pool, lane, task.tenant, to.window)
    ready[lane] = math.max(ready[lane], 1)
    turn = turn + 1
    if must_run_alone(task) then
      isolate(id, task)
    else
      claims[#claims + 1] = begin(id, task, to, to.token .. ':' .. #claims + 1, false)
      taken_ms = taken_ms + task.duration_ms
    end
  end
end
redis.call('SET', K.turn(to.pool), turn % 20)
return claims
