-- Ends a lease that is still held, and wakes who waits for it. What the server has no room for leaves an empty slot;
-- what is no larger than the placeholder always has room.
-- KEYS: entry. ARGV: token, wake channel, what takes its place (empty: nothing), its lifetime in ms. Returns 1, or 0 if
-- the lease was lost.
local head = redis.pcall('GETRANGE', KEYS[1], 0, 17)
if type(head) ~= 'string' or string.sub(head, 1, 1) ~= 'L' or string.sub(head, 3) ~= ARGV[1] then
  return 0
end
local outcome = 1
if #ARGV[3] <= 18 then
  redis.call('UNLINK', KEYS[1])
end
if ARGV[3] ~= '' then
  local set = redis.pcall('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
  if set.err then
    redis.call('UNLINK', KEYS[1])
    outcome = set
  end
end
if string.sub(head, 2, 2) == '1' then
  redis.pcall('PUBLISH', ARGV[2], KEYS[1])
end
return outcome
