-- The processes and until when each may serve. Those that lost the right long ago, or wrote nonsense, are forgotten.
-- KEYS: nodes. ARGV: how long ago, in ms. Returns now in ms, then id and entry of each.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local seen = {string.format('%.0f', now)}
local all = redis.pcall('HGETALL', KEYS[1])
if all.err then
  return seen
end
for i = 1, #all, 2 do
  local ends = tonumber(string.match(all[i + 1], '^%d+%-%d+ (%d+)$'))
  if ends and ends + ARGV[1] >= now then
    seen[#seen + 1] = all[i]
    seen[#seen + 1] = all[i + 1]
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return seen
