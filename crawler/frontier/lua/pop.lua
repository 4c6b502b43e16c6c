-- Takes the most urgent request. Asked again with the same number, because the reply was lost, gives the same one.
-- KEYS[1]  requests (zset: score -> payload)    KEYS[2]  last_taken (hash: worker -> "number payload")
-- ARGV[1]  worker id    ARGV[2]  how many requests the worker has received before
-- Returns  the payload, or false when nothing waits
local prefix = ARGV[2] .. ' '
local last = redis.call('HGET', KEYS[2], ARGV[1])
if last and string.sub(last, 1, #prefix) == prefix then
  return string.sub(last, #prefix + 1)
end
local entry = redis.call('ZPOPMIN', KEYS[1])[1]
if not entry then
  return false
end
redis.call('HSET', KEYS[2], ARGV[1], prefix .. entry)
return entry
