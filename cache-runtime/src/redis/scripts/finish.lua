-- Ends leases that are still held, and wakes who waits for them. What the server has no room for leaves an empty slot;
-- what is no larger than the placeholder always has room. The first refusal is that of all.
-- KEYS: entries. ARGV, for each: token, wake channel, what takes its place (empty: nothing), its lifetime in ms.
-- Returns 1 for each, or 0 where the lease was lost.
-- All at once, since each call of a command costs a microsecond; what is no string at all is nothing here. `now` is what
-- stands at an entry that is named twice.
local heads = redis.call('MGET', unpack(KEYS))
local outcomes, now, refusal = {}, {}, nil
for i, entry in ipairs(KEYS) do
  local token, channel, bytes, life = ARGV[4 * i - 3], ARGV[4 * i - 2], ARGV[4 * i - 1], ARGV[4 * i]
  local head = now[entry] or heads[i]
  if not head or #head ~= 18 or string.sub(head, 1, 1) ~= 'L' or string.sub(head, 3) ~= token then
    outcomes[i] = 0
  else
    outcomes[i] = 1
    if #bytes <= 18 or refusal then
      redis.call('UNLINK', entry)
    end
    if bytes ~= '' and not refusal then
      local set = redis.pcall('SET', entry, bytes, 'PX', life)
      if set.err then
        redis.call('UNLINK', entry)
        refusal = set
      end
    end
    if string.sub(head, 2, 2) == '1' then
      redis.pcall('PUBLISH', channel, entry)
    end
    now[entry] = refusal and '' or bytes
  end
end
return refusal or outcomes
