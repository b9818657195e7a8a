-- Makes invalid first, tells of it after. The first write is one that needs no memory, so that all others pass too.
-- KEYS: nothing, bus, routes, nodes, what is unlinked.., the entry that is put. ARGV: length of the bus, version of the routes
-- (empty: none), lifetime in ms of what is put (empty: nothing is), its bytes, fields and values of the message..
-- Returns the position on the bus, or nothing if the routes are others by now.
local last = #KEYS
if ARGV[3] ~= '' then
  -- The one write that may be refused for lack of memory: before all others, and then the slot is emptied.
  if redis.pcall('SET', KEYS[last], ARGV[4], 'PX', ARGV[3]).err then
    redis.call('UNLINK', KEYS[last])
  end
  last = last - 1
end
redis.call('UNLINK', KEYS[1])
for first = 5, last, 1000 do
  redis.call('UNLINK', unpack(KEYS, first, math.min(first + 999, last)))
end
local version = redis.pcall('HGET', KEYS[3], ':version')
if type(version) ~= 'string' then
  version = ''
end
if version ~= ARGV[2] then
  return false
end
if redis.call('TYPE', KEYS[2]).ok ~= 'stream' then
  -- A bus begins. How far the one before was read says nothing about this one.
  redis.call('UNLINK', KEYS[2], KEYS[4])
end
local added = redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '*', unpack(ARGV, 5))
if type(added) == 'table' and string.find(added.err, 'last possible ID', 1, true) then
  -- Somebody has used it, and nothing can follow. One begins whose first message is for those who read this one.
  redis.call('UNLINK', KEYS[2], KEYS[4])
  redis.call('XADD', KEYS[2], '*', 'all', '1')
  added = redis.call('XADD', KEYS[2], '*', unpack(ARGV, 5))
end
return added
