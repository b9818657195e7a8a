-- Takes the lease over what stands there, if that begins as the caller saw it. What is empty by now is taken too.
-- KEYS: entry. ARGV: the beginning (empty: no string), placeholder, lease in ms. Returns nothing, or what stands there.
local kind = redis.call('TYPE', KEYS[1]).ok
local head = ''
if kind == 'string' then
  head = redis.call('GETRANGE', KEYS[1], 0, 17)
end
if kind ~= 'none' and head ~= ARGV[1] then
  return redis.pcall('GET', KEYS[1])
end
redis.call('UNLINK', KEYS[1])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return false
