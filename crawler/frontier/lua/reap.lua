-- Returns requests whose lease has run out to the queue, as after a failed attempt. Removes, bit by bit, what an
-- earlier crawl has seen.
-- KEYS[1]  the job's prefix
-- ARGV[1]  attempts until a request is given up    ARGV[2]  how many leases, and shards, at most
-- Returns  how many leases had run out
local now, real = clock()
tick(now, real)
local expired = redis.call('ZRANGEBYSCORE', P .. 'deadlines', '-inf', stamp(now), 'LIMIT', 0, ARGV[2])
for _, member in ipairs(expired) do
  local entry = redis.call('HGET', P .. 'leases', member)
  drop_lease(member)
  if entry then
    again_or_bury(entry, 'its worker, ' .. string.match(member, '^(.*)/') .. ', died or did not renew the lease',
      tonumber(ARGV[1]), now)
  end
end
if #expired > 0 then
  redis.call('HINCRBY', P .. 'counts', 'expired', #expired)
end
sweep(tonumber(ARGV[2]))
return #expired
