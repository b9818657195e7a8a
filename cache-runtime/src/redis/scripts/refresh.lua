-- Takes the refresh lease of a value, if it is the one the caller saw and nobody holds it. An end that no lease reaches
-- is damage, or a clock that was set back: it holds nobody up.
-- KEYS: entry. ARGV: etag, lease in ms. Returns 1 or 0.
local head = redis.pcall('GETRANGE', KEYS[1], 0, 25)
if type(head) ~= 'string' or #head < 26 or string.sub(head, 1, 1) ~= 'V' or string.sub(head, 3, 18) ~= ARGV[1] then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local high, low = struct.unpack('>I4I4', head, 19)
local ends = high * 4294967296 + low
if ends > now and ends <= now + 10 * ARGV[2] then
  return 0
end
ends = now + ARGV[2]
high = math.floor(ends / 4294967296)
redis.call('SETRANGE', KEYS[1], 18, struct.pack('>I4I4', high, ends - high * 4294967296))
return 1
