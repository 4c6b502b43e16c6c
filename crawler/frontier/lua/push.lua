-- Queues a request unless it was seen, in one step: between two a crash, or a retry after a lost reply, would lose it.
-- KEYS[1]  dupefilter (set of fingerprints)    KEYS[2]  requests (zset: score -> payload)
-- ARGV[1]  fingerprint    ARGV[2]  score (the negative priority)    ARGV[3]  payload
-- Returns  1 when it is new, else 0
if redis.call('SADD', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])
return 1
