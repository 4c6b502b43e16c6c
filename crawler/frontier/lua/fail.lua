-- Counts a failed attempt: the request comes back later, each time after twice the delay, and at last goes to the dead letters.
-- KEYS[1]  the job's prefix
-- ARGV[1]  owner    ARGV[2]  id    ARGV[3]  reason    ARGV[4]  least delay in ms, which the site asks for, 0 for none
-- ARGV[5]  delay after the first attempt in ms    ARGV[6]  longest delay in ms    ARGV[7]  attempts until it is given up
-- Returns  "delayed", "dead", or "refused" when the lease is no longer the owner's
local now = clock()
local member = ARGV[1] .. '/' .. ARGV[2]
local entry = redis.call('HGET', P .. 'leases', member)
if not entry then
  return 'refused'
end
drop_lease(member)
local endpoint, priority, attempts, payload = parse_entry(entry)
attempts = attempts + 1
if attempts >= tonumber(ARGV[7]) then
  bury(endpoint, priority, attempts, payload, ARGV[3])
  return 'dead'
end
local delay = math.max(tonumber(ARGV[4]), math.min(ARGV[5] * 2 ^ (attempts - 1), tonumber(ARGV[6])))
local again = make_entry(endpoint, priority, attempts, payload)
redis.call('ZADD', P .. 'delayed', stamp(now + delay), serial() .. ' ' .. again)
redis.call('HINCRBY', P .. 'counts', 'retried', 1)
return 'delayed'
