-- A worker's heartbeat: publishes its state, adds its counts, queues delayed requests that are due, looks around.
-- KEYS[1]  crawl (hash)       KEYS[2]  workers (hash: id -> JSON)   KEYS[3]  outcomes (hash: outcome -> count)
-- KEYS[4]  pages (hash: host -> count)    KEYS[5]  start_urls (list)   KEYS[6]  requests (zset)   KEYS[7]  delayed (zset)
-- ARGV[1]  worker id          ARGV[2]  its state: JSON members without the opening brace
-- ARGV[3]  id of the crawl that the counts belong to    ARGV[4]  host    ARGV[5]  pages done since the last beat
-- ARGV[6..] outcome, count since the last beat, ...
-- Returns  {now in s, crawl state, crawl id, seeds, queued, delayed, promoted, {worker id, JSON, ...}}
local time = redis.call('TIME')
local now = time[1] .. '.' .. string.format('%06d', time[2])
redis.call('HSET', KEYS[2], ARGV[1], '{"at":' .. now .. ',' .. ARGV[2])

local crawl = redis.call('HMGET', KEYS[1], 'state', 'id')
if crawl[2] == ARGV[3] then
  if tonumber(ARGV[5]) > 0 then
    redis.call('HINCRBY', KEYS[4], ARGV[4], ARGV[5])
  end
  for i = 6, #ARGV, 2 do
    redis.call('HINCRBY', KEYS[3], ARGV[i], ARGV[i + 1])
  end
end

local now_ms = string.format('%.0f', time[1] * 1000 + time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[7], '-inf', now_ms, 'LIMIT', 0, 1000)
for _, entry in ipairs(due) do
  local space = string.find(entry, ' ', 1, true)
  redis.call('ZADD', KEYS[6], string.sub(entry, 1, space - 1), string.sub(entry, space + 1))
  redis.call('ZREM', KEYS[7], entry)
end

return {
  now, crawl[1] or 'none', crawl[2] or '',
  redis.call('LLEN', KEYS[5]), redis.call('ZCARD', KEYS[6]), redis.call('ZCARD', KEYS[7]), #due,
  redis.call('HGETALL', KEYS[2]),
}
