-- Begins a crawl, forgetting the one before, unless one is running.
-- KEYS[1]  the job's prefix
-- ARGV[1]  id of the new crawl    ARGV[2]  1 to abandon a running crawl, else 0
-- Returns  1 when a crawl began, 0 when the running one goes on
local crawl = redis.call('HMGET', P .. 'crawl', 'state', 'id')
if crawl[2] == ARGV[1] then -- the same call again, whose reply was lost
  return 1
end
if crawl[1] == 'running' and ARGV[2] ~= '1' then
  return 0
end
clear()
redis.call('HSET', P .. 'crawl', 'state', 'running', 'id', ARGV[1], 'started_at', stamp(system_ms() / 1000))
return 1
