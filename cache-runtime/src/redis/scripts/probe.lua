-- One look at the bus: says how far this process has read and until when it may serve, and reads what is new.
-- KEYS: nothing, bus, routes, nodes. ARGV: id of this process, its position, its right in ms, the position to read from
-- (empty: nothing is read), how many messages at most.
-- Returns now in ms, the last position and how many were ever added (nothing: no stream), the version of the routes, messages.
redis.call('UNLINK', KEYS[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('TYPE', KEYS[4]).ok ~= 'hash' then
  redis.call('UNLINK', KEYS[4])
end
redis.call('HSETNX', KEYS[4], ':since', string.format('%.0f', now))
redis.call('HSET', KEYS[4], ARGV[1], ARGV[2] .. ' ' .. string.format('%.0f', now + ARGV[3]))
local version = redis.pcall('HGET', KEYS[3], ':version')
if type(version) ~= 'string' then
  version = false
end
local last, added, messages = false, false, {}
if redis.call('TYPE', KEYS[2]).ok == 'stream' then
  local info = redis.call('XINFO', 'STREAM', KEYS[2])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      last = info[i + 1]
    elseif info[i] == 'entries-added' then
      added = info[i + 1]
    end
  end
  if ARGV[4] ~= '' then
    messages = redis.call('XRANGE', KEYS[2], '(' .. ARGV[4], '+', 'COUNT', ARGV[5])
  end
end
return {string.format('%.0f', now), last, added, version, messages}
