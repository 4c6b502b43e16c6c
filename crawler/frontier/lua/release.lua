-- Gives requests back unharmed, to the head of the queue, in the order in which they were leased.
-- KEYS[1]  the job's prefix
-- ARGV[1]  owner    ARGV[2]  1 if they were sent, so that they count as granted, else 0    ARGV[3..]  ids
-- Returns  how many were still the owner's
local now = clock()
local released = 0
for i = #ARGV, 3, -1 do
  local member = ARGV[1] .. '/' .. ARGV[i]
  local entry = redis.call('HGET', P .. 'leases', member)
  if entry then
    drop_lease(member)
    local endpoint, priority = parse_entry(entry)
    enqueue(entry, endpoint, priority, now, true)
    released = released + 1
  end
end
if released > 0 and ARGV[2] == '0' then
  count_granted(-released)
end
return released
