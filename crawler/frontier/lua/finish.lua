-- Marks the crawl finished, once, if nothing is queued, leased or delayed.
-- KEYS[1]  the job's prefix
-- ARGV[1]  id of the crawl
-- Returns  1 when this call finished it, else 0
local crawl = redis.call('HMGET', P .. 'crawl', 'state', 'id')
if crawl[1] ~= 'running' or crawl[2] ~= ARGV[1] then
  return 0
end
if redis.call('EXISTS', P .. 'endpoints', P .. 'leases', P .. 'delayed') > 0 then
  return 0
end
redis.call('HSET', P .. 'crawl', 'state', 'finished', 'finished_at', stamp(system_ms() / 1000))
return 1
