-- Writes something that nobody reads, also where there is no room: what comes first takes none, and opens the way.
-- KEYS: what is written. ARGV: milliseconds that it stays. Returns nothing.
redis.call('UNLINK', KEYS[1])
redis.call('SET', KEYS[1], '', 'PX', ARGV[1])
