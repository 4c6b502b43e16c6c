-- Holds the running crawl: nothing is leased until somebody lets it go. What is leased goes on.
-- KEYS[1]  the job's prefix
-- ARGV[1]  reason; that of a crawl that is held already is replaced
-- Returns  1 when the crawl is held now, 0 when none is running
if redis.call('HGET', P .. 'crawl', 'state') ~= 'running' then
  return 0
end
write_although_full()
if redis.call('HEXISTS', P .. 'crawl', 'paused_at') == 0 then
  redis.call('HSET', P .. 'crawl', 'paused_at', stamp(system_ms() / 1000))
end
redis.call('HSET', P .. 'crawl', 'paused_reason', ARGV[1])
return 1
