-- One look at the bus: says how far this process has read and until when it may serve, and reads what is new.
-- KEYS: nothing, bus, routes, nodes. ARGV: id of this process, its position, its right in ms, the position to read from
-- (empty: nothing is read), how many messages at most, how many bytes of them, how many of one message.
-- Returns now in ms, the last position and how many were ever added, the version of the routes (nothing: none of ours),
-- messages, whether there may be more. Of a message that is too long only the names of its events are returned, with its
-- length under `long`; and `all`, if it had names of keys.
-- Nothing can follow it, nor be asked for behind it.
local final = '18446744073709551615-18446744073709551615'
local function shortened(fields, length)
  local short = {'long', tostring(length)}
  local room = 1024
  for i = 1, #fields, 2 do
    if fields[i] == 'event' and #fields[i + 1] <= room then
      room = room - #fields[i + 1]
      short[#short + 1] = 'event'
      short[#short + 1] = fields[i + 1]
    elseif fields[i] == 'event' or fields[i] == 'keys' or fields[i] == 'all' then
      short[#short + 1] = 'all'
      short[#short + 1] = '1'
    end
  end
  return short
end
local function read(bus, from, most, room, longest)
  -- Only one at first and after one that was long, and not many of those: to look at them takes as long as they are.
  local messages, step, looked = {}, 1, 0
  while true do
    local some = redis.call('XRANGE', bus, '(' .. from, '+', 'COUNT', step)
    local is_end = #some < step
    step = math.min(step * 2, 32)
    for _, message in ipairs(some) do
      local length = 0
      for _, text in ipairs(message[2]) do
        length = length + #text
      end
      if length > longest then
        looked = looked + length
        message, length, step = {message[1], shortened(message[2], length)}, 0, 1
      end
      if #messages >= most or (length > room and #messages > 0) then
        return messages, 1
      end
      room = room - length
      from = message[1]
      messages[#messages + 1] = message
      if looked > 8 * longest then
        return messages, 1
      end
    end
    if is_end or from == final then
      return messages, 0
    end
  end
end
local function tail(bus)
  local last, added = false, false
  local info = redis.call('XINFO', 'STREAM', bus)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      last = info[i + 1]
    elseif info[i] == 'entries-added' then
      added = info[i + 1]
    end
  end
  return last, added
end
redis.call('UNLINK', KEYS[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Who has read that far has read all, or of another bus.
local is_over = ARGV[4] == final
if redis.call('TYPE', KEYS[2]).ok ~= 'stream' or (is_over and tail(KEYS[2]) == final) then
  -- One may have come and gone since the last look: one begins, and its first message is there to be counted by those who
  -- read another. How far that one was read says nothing about this one.
  redis.call('UNLINK', KEYS[2], KEYS[4])
  redis.call('XADD', KEYS[2], '*', 'all', '1')
end
if redis.call('TYPE', KEYS[4]).ok ~= 'hash' then
  redis.call('UNLINK', KEYS[4])
end
redis.call('HSETNX', KEYS[4], ':since', string.format('%.0f', now))
redis.call('HSET', KEYS[4], ARGV[1], (is_over and '0-0' or ARGV[2]) .. ' ' .. string.format('%.0f', now + ARGV[3]))
local version = redis.pcall('HGET', KEYS[3], ':version')
if type(version) ~= 'string' or not string.match(version, '^%x+$') then
  version = false
end
local last, added = tail(KEYS[2])
local messages, more = {}, 0
if ARGV[4] ~= '' and not is_over then
  messages, more = read(KEYS[2], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]))
end
return {string.format('%.0f', now), last, added, version, messages, more}
