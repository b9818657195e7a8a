-- Puts a value in the place of another, if that still stands there.
-- KEYS: entry. ARGV: the beginning of what stands there, the value, its lifetime in ms. Returns 1, or 0.
if redis.pcall('GETRANGE', KEYS[1], 0, 17) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
