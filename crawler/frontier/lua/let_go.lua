-- Lets a crawl go on that was held.
-- KEYS[1]  the job's prefix
-- Returns  1 when it was held, else 0
if redis.call('HDEL', P .. 'crawl', 'paused_at', 'paused_reason') == 0 then
  return 0
end
redis.call('HSET', P .. 'crawl', 'resumed_at', stamp(system_ms() / 1000))
return 1
