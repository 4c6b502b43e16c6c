-- Marks the crawl finished, once, if nothing waits in it.
-- KEYS[1]  crawl (hash)    KEYS[2]  seeds that nobody took (list)    KEYS[3]  requests (zset)    KEYS[4]  delayed (zset)
-- ARGV[1]  id of the crawl
-- Returns  1 when this call finished it, else 0
local crawl = redis.call('HMGET', KEYS[1], 'state', 'id')
if crawl[1] ~= 'running' or crawl[2] ~= ARGV[1] then
  return 0
end
if redis.call('EXISTS', KEYS[2], KEYS[3], KEYS[4]) > 0 then
  return 0
end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'state', 'finished', 'finished_at', time[1] .. '.' .. string.format('%06d', time[2]))
return 1
