-- Shows what is next in the queue, by endpoint and priority, without touching it.
-- KEYS[1]  the job's prefix
-- ARGV[1]  how many of each endpoint at most
-- Returns  entries
local found = {}
for _, endpoint in ipairs(redis.call('ZRANGE', P .. 'endpoints', 0, -1)) do
  local left = tonumber(ARGV[1])
  for _, priority in ipairs(redis.call('ZRANGE', P .. 'priorities:' .. endpoint, 0, -1)) do
    if left < 1 then
      break
    end
    for _, entry in ipairs(redis.call('LRANGE', P .. 'queue:' .. endpoint .. ':' .. priority, 0, left - 1)) do
      found[#found + 1] = entry
      left = left - 1
    end
  end
end
return found
