-- Forgets that requests were seen, so that they can be queued again.
-- KEYS[1]  the job's prefix
-- ARGV     fingerprints
-- Returns  how many had been seen
open_seen()
local forgotten = 0
for _, fingerprint in ipairs(ARGV) do
  forgotten = forgotten + redis.call('SREM', shard_key(shard_of(fingerprint)), fingerprint)
end
if forgotten > 0 then
  seen.count = seen.count - forgotten
  save_seen()
end
return forgotten
