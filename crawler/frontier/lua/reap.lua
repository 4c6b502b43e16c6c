-- Returns requests whose lease has run out to the head of the queue, in the order of their deadlines, each with one
-- failed attempt more. Removes, bit by bit, what an earlier crawl has seen.
-- KEYS[1]  the job's prefix
-- ARGV[1]  length of leases in ms    ARGV[2]  attempts until a request is given up
-- ARGV[3]  how many leases, and shards, at most
-- Returns  how many leases had run out
local now = tick(ARGV[1])
local expired = redis.call('ZRANGEBYSCORE', P .. 'deadlines', '-inf', stamp(now), 'LIMIT', 0, ARGV[3])
for i = #expired, 1, -1 do
  local member = expired[i]
  local entry = redis.call('HGET', P .. 'leases', member)
  drop_lease(member)
  if entry then
    local endpoint, priority, attempts, payload = parse_entry(entry)
    attempts = attempts + 1
    if attempts >= tonumber(ARGV[2]) then
      local owner = string.match(member, '^(.*)/')
      bury(endpoint, priority, attempts, payload, 'its worker, ' .. owner .. ', died or did not renew the lease')
    else
      enqueue(make_entry(endpoint, priority, attempts, payload), endpoint, priority, now, true)
    end
  end
end
if #expired > 0 then
  redis.call('HINCRBY', P .. 'counts', 'expired', #expired)
end
sweep(tonumber(ARGV[3]))
return #expired
