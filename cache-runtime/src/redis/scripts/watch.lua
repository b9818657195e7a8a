-- Marks a lease as waited for, if it still stands. Out of memory it stays unmarked: who waits polls anyway.
-- KEYS: entry. ARGV: token. Returns what stands there.
local slot = redis.pcall('GET', KEYS[1])
if type(slot) == 'string' and #slot == 18 and string.sub(slot, 1, 1) == 'L' and string.sub(slot, 3) == ARGV[1] then
  redis.pcall('SETRANGE', KEYS[1], 1, '1')
end
return slot
