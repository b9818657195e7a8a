-- Adds routes that are missing or different. Their version stands in the same hash: what takes the one takes the other.
-- KEYS: nothing, routes. ARGV: a version never used before, field and value of each route.. Returns the version now.
redis.call('UNLINK', KEYS[1])
if redis.call('TYPE', KEYS[2]).ok ~= 'hash' then
  redis.call('UNLINK', KEYS[2])
end
local version = redis.call('HGET', KEYS[2], ':version')
if version and not string.match(version, '^%x+$') then
  -- Not one of ours: who reads it may not be able to send back the same bytes, and nothing would be told any more.
  version = false
end
for i = 2, #ARGV, 2 do
  if redis.call('HGET', KEYS[2], ARGV[i]) ~= ARGV[i + 1] then
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
    version = false
  end
end
if not version then
  version = ARGV[1]
  redis.call('HSET', KEYS[2], ':version', version)
end
return version
