-- Begins a crawl, forgetting the one before, unless one is running.
-- KEYS[1]  crawl (hash)    KEYS[2..]  what belongs to one crawl and is forgotten
-- ARGV[1]  id of the new crawl    ARGV[2]  1 to abandon a running crawl, else 0
-- Returns  1 when a crawl began, 0 when the running one goes on
if redis.call('HGET', KEYS[1], 'state') == 'running' and ARGV[2] ~= '1' then
  return 0
end
for i = 2, #KEYS do
  redis.call('UNLINK', KEYS[i])
end
redis.call('UNLINK', KEYS[1])
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'state', 'running', 'id', ARGV[1], 'started_at', time[1] .. '.' .. string.format('%06d', time[2]))
return 1
