-- A worker's heartbeat: publishes its state and adds its counts. Now and then it notes how far the crawl is.
-- KEYS[1]  the job's prefix
-- ARGV[1]  worker    ARGV[2]  its state: JSON members without the opening brace
-- ARGV[3]  id of the crawl that the counts belong to; those of another one are dropped
-- ARGV[4]  name that pages are counted under    ARGV[5]  pages that were done without leases since the last beat
-- ARGV[6]  JSON: {outcome: count since the last beat}    ARGV[7]  JSON: {what the crawl brought: count since the last beat}
-- ARGV[8]  1 when records were stored since the last beat, else 0    ARGV[9]  which of ARGV[7] the history follows
-- Returns  {crawl's state, crawl's id}
local SAMPLE_SECONDS, MOST_SAMPLES = 10, 360 -- the last hour

-- Appends [time, pages done, total, dead letters] to the history.
local function sample(now)
  local last = redis.call('LRANGE', P .. 'history', -1, -1)[1]
  if last and math.abs(now - cjson.decode(last)[1]) < SAMPLE_SECONDS then
    return
  end
  local done = 0
  local pages = redis.call('HGETALL', P .. 'pages')
  for i = 2, #pages, 2 do
    done = done + pages[i]
  end
  local total = tonumber(redis.call('HGET', P .. 'totals', ARGV[9])) or 0
  local told = string.format('[%.3f,%d,%d,%d]', now, done, total, redis.call('ZCARD', P .. 'dead'))
  redis.call('RPUSH', P .. 'history', told)
  while redis.call('LLEN', P .. 'history') > MOST_SAMPLES do
    redis.call('LPOP', P .. 'history')
  end
end

write_although_full()
local now = system_ms() / 1000
redis.call('HSET', P .. 'workers', ARGV[1], '{"at":' .. stamp(now) .. ',' .. ARGV[2])
local crawl = redis.call('HMGET', P .. 'crawl', 'state', 'id')
if crawl[2] == ARGV[3] then
  if ARGV[5] ~= '0' then
    redis.call('HINCRBY', P .. 'pages', ARGV[4], ARGV[5])
  end
  for name, counts in pairs({outcomes = ARGV[6], totals = ARGV[7]}) do
    for field, count in pairs(cjson.decode(counts)) do
      redis.call('HINCRBY', P .. name, field, string.format('%.0f', count))
    end
  end
  if ARGV[8] == '1' then
    redis.call('HSET', P .. 'crawl', 'stored_at', stamp(now))
  end
end
if crawl[1] == 'running' then
  sample(now)
end
return {crawl[1] or 'none', crawl[2] or ''}
