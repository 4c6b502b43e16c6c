-- Queues dead letters again, as if they had never failed.
-- KEYS[1]  the job's prefix
-- ARGV     ids
-- Returns  how many there were
local now = clock()
local retried = 0
for _, id in ipairs(ARGV) do
  local letter = redis.call('ZRANGEBYSCORE', P .. 'dead', id, id)[1]
  if letter then
    redis.call('ZREM', P .. 'dead', letter)
    local dead = cjson.decode(letter)
    enqueue(make_entry(dead.endpoint, dead.priority, 0, dead.payload), dead.endpoint, dead.priority, now)
    retried = retried + 1
  end
end
if retried > 0 then
  reopen()
end
return retried
