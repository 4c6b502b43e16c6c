-- Marks the crawl finished, once, if nothing is left to be done (see is_finished). A crawl that has just begun is not:
-- its first requests are on their way. A crawl that is finished is not held any more.
-- KEYS[1]  the job's prefix
-- ARGV[1]  id of the crawl
-- Returns  1 when this call finished it, else 0
local YOUNG_SECONDS = 1
local crawl = redis.call('HMGET', P .. 'crawl', 'state', 'id', 'started_at')
if crawl[1] ~= 'running' or crawl[2] ~= ARGV[1] then
  return 0
end
local age = system_ms() / 1000 - crawl[3]
if age >= 0 and age < YOUNG_SECONDS then
  return 0
end
if not is_finished(redis.call('HGET', P .. 'crawl', 'max_requests')) then
  return 0
end
write_although_full()
redis.call('HSET', P .. 'crawl', 'state', 'finished', 'finished_at', stamp(system_ms() / 1000))
redis.call('HDEL', P .. 'crawl', 'paused_at', 'paused_reason')
return 1
