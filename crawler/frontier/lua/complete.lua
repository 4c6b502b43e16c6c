-- Marks requests as done and queues their follow-ups, in one step. Nothing happens for a lease that is no longer the owner's.
-- KEYS[1]  the job's prefix
-- ARGV[1]  owner    ARGV[2]  name that the pages are counted under
-- ARGV[3]  JSON: [[id, [[endpoint, priority, fingerprint or "", payload], ...]], ...]
-- Returns  the ids that were accepted
-- While Redis is full it is refused before it has changed anything if the first request has follow-ups, else accepted.
local now = clock()
local accepted, added = {}, 0
open_seen()
for _, done in ipairs(cjson.decode(ARGV[3])) do
  local id, follow_ups = unpack(done)
  local member = ARGV[1] .. '/' .. id
  if redis.call('HEXISTS', P .. 'leases', member) == 1 then
    added = added + push(follow_ups, now)
    drop_lease(member)
    accepted[#accepted + 1] = id
  end
end
if added > 0 then
  save_seen()
end
if #accepted > 0 then
  redis.call('HINCRBY', P .. 'pages', ARGV[2], #accepted)
end
return accepted
