-- Prolongs leases that are still held. What expired stays lost, whoever held it.
-- KEYS: entries. ARGV: lease in ms, a token for each entry. Returns 1 or 0 for each.
local held = {}
for i, entry in ipairs(KEYS) do
  local head = redis.pcall('GETRANGE', entry, 0, 17)
  held[i] = 0
  if type(head) == 'string' and string.sub(head, 1, 1) == 'L' and string.sub(head, 3) == ARGV[i + 1] then
    held[i] = redis.call('PEXPIRE', entry, ARGV[1])
  end
end
return held
