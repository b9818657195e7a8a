-- The processes and until when each may serve. Those that lost the right long ago, or wrote nonsense, are forgotten.
-- KEYS: nothing, nodes. ARGV: how long ago, in ms. Returns now in ms, since when in ms the table is kept (it may be lost as
-- all else), then id and entry of each.
redis.call('UNLINK', KEYS[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local text = string.format('%.0f', now)
local seen = {text, text}
local all = redis.pcall('HGETALL', KEYS[2])
if all.err then
  return seen
end
for i = 1, #all, 2 do
  local ends = tonumber(string.match(all[i + 1], '^%d+%-%d+ (%d+)$'))
  local since = all[i] == ':since' and tonumber(all[i + 1])
  if since and since <= now then
    seen[2] = all[i + 1]
  elseif all[i] == ':since' then
    -- The clock was set back.
    redis.call('HSET', KEYS[2], ':since', text)
  elseif ends and ends + ARGV[1] >= now then
    seen[#seen + 1] = all[i]
    seen[#seen + 1] = all[i + 1]
  else
    redis.call('HDEL', KEYS[2], all[i])
  end
end
return seen
