-- What the user who asks may not do. Replies {commands, keys, channels}, each as a list of names.
-- It needs nothing shared, which would already call Redis. A command with keys can only be judged
-- on a key that may be touched: where there is none, the keys alone are told.
local commands, refused_keys, refused_channels = {}, {}, {}
if not redis.acl_check_cmd then return {commands, refused_keys, refused_channels} end -- a lookalike

local names = args.keys
for _, key in pairs(K) do
  names[#names + 1] = type(key) == 'function' and key('x', 'x', 'x') or key
end
local allowed_key
for _, key in ipairs(names) do
  if redis.acl_check_cmd('EVALSHA', string.rep('0', 40), '1', key) then
    allowed_key = key
  else
    refused_keys[#refused_keys + 1] = key
  end
end

local function is_refused(command, what, name)
  local call = {}
  for i, part in ipairs(command) do call[i] = part == what and name or part end
  return not redis.acl_check_cmd(unpack(call))
end

local function has(command, what)
  for _, part in ipairs(command) do
    if part == what then return true end
  end
end

local channels = {K.changed('x'), K.wake('x')}
for _, command in ipairs(args.commands) do
  local name = command[1]
  local has_parts = name == 'xgroup' or name == 'xinfo' or name == 'script' or name == 'cluster'
  if has_parts then name = name .. '|' .. command[2] end
  if has(command, args.channel) then
    for _, channel in ipairs(channels) do
      if is_refused(command, args.channel, channel) then
        commands[#commands + 1] = name
        refused_channels[#refused_channels + 1] = channel
        break
      end
    end
  elseif has(command, args.key) then
    if allowed_key and is_refused(command, args.key, allowed_key) then commands[#commands + 1] = name end
  elseif is_refused(command) then
    commands[#commands + 1] = name
  end
end
return {commands, refused_keys, refused_channels}
