-- Removes a worker that ends. Of its machine's disk nobody may tell any more: what it told last is kept, marked so.
-- KEYS[1]  the job's prefix
-- ARGV[1]  worker
-- Returns  1 when it was there, else 0
local text = redis.call('HGET', P .. 'workers', ARGV[1])
if not text then
  return 0
end
write_although_full()
redis.call('HDEL', P .. 'workers', ARGV[1])
local _, beat = pcall(cjson.decode, text) -- anybody may have written it
if type(beat) == 'table' and type(beat.host) == 'string' and type(beat.disk_path) == 'string' then
  redis.call('HSET', P .. 'machines', beat.host .. ':' .. beat.disk_path, cjson.encode({
    at = beat.at, host = beat.host, disk_path = beat.disk_path, disk_free_mb = beat.disk_free_mb, has_left = true
  }))
end
return 1
