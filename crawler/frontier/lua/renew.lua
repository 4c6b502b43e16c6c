-- Pushes the deadlines of leases out while work on them goes on.
-- KEYS[1]  the job's prefix
-- ARGV[1]  owner    ARGV[2]  length of the leases in ms    ARGV[3..]  ids
-- Returns  the ids that are still the owner's
local now = tick(ARGV[2])
local kept = {}
for i = 3, #ARGV do
  local member = ARGV[1] .. '/' .. ARGV[i]
  if redis.call('HEXISTS', P .. 'leases', member) == 1 then
    redis.call('ZADD', P .. 'deadlines', stamp(now + ARGV[2]), member)
    kept[#kept + 1] = ARGV[i]
  end
end
return kept
