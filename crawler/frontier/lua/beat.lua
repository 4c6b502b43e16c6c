-- A worker's heartbeat: publishes its state and adds its counts.
-- KEYS[1]  the job's prefix
-- ARGV[1]  worker    ARGV[2]  its state: JSON members without the opening brace
-- ARGV[3]  id of the crawl that the counts belong to; those of another one are dropped
-- ARGV[4]  name that pages are counted under    ARGV[5]  pages that were done without leases since the last beat
-- ARGV[6..]  outcome, count since the last beat, ...
-- Returns  {crawl's state, crawl's id}
write_although_full()
redis.call('HSET', P .. 'workers', ARGV[1], '{"at":' .. stamp(system_ms() / 1000) .. ',' .. ARGV[2])
local crawl = redis.call('HMGET', P .. 'crawl', 'state', 'id')
if crawl[2] == ARGV[3] then
  if ARGV[5] ~= '0' then
    redis.call('HINCRBY', P .. 'pages', ARGV[4], ARGV[5])
  end
  for i = 6, #ARGV, 2 do
    redis.call('HINCRBY', P .. 'outcomes', ARGV[i], ARGV[i + 1])
  end
end
return {crawl[1] or 'none', crawl[2] or ''}
