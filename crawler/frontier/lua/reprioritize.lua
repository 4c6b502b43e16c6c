-- Moves the first requests of a queue, in their order, to the end of the queue of another priority.
-- KEYS[1]  the job's prefix
-- ARGV[1]  endpoint    ARGV[2]  priority    ARGV[3]  new priority, another one    ARGV[4]  how many at most
-- Returns  how many were taken out of the queue; call it again until there are none
local endpoint, priority = ARGV[1], ARGV[2]
local queue = P .. 'queue:' .. endpoint .. ':' .. priority
local now = clock()
local taken = 0
while taken < tonumber(ARGV[4]) do
  local entry = redis.call('LPOP', queue)
  if not entry then
    break
  end
  taken = taken + 1
  local own_endpoint, own_priority, attempts, payload = parse_entry(entry)
  if own_endpoint == endpoint and own_priority == priority then
    enqueue(make_entry(endpoint, ARGV[3], attempts, payload), endpoint, ARGV[3], now)
  else
    bury(endpoint, priority, 0, entry, 'not an entry of this queue')
  end
end
if redis.call('LLEN', queue) == 0 then
  redis.call('ZREM', P .. 'priorities:' .. endpoint, priority)
  if redis.call('ZCARD', P .. 'priorities:' .. endpoint) == 0 then
    redis.call('ZREM', P .. 'endpoints', endpoint)
  end
end
return taken
