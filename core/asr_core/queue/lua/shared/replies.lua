-- redis.pcall for errors that are answers: no group, no stream, no such entry. A missing
-- permission is not one, and ends the script.
local function try(...)
  local reply = redis.pcall(...)
  local err = type(reply) == 'table' and reply.err
  if err then
    for _, words in ipairs({'NOPERM', "The user executing the script can't", 'ACL failure in script'}) do
      if string.find(err, words, 1, true) then error(reply) end
    end
  end
  return reply
end
