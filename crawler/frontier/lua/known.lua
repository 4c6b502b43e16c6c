-- Tells which requests were seen.
-- KEYS[1]  the job's prefix
-- ARGV     fingerprints
-- Returns  those that were
open_seen()
local found = {}
for _, fingerprint in ipairs(ARGV) do
  if redis.call('SISMEMBER', shard_key(shard_of(fingerprint)), fingerprint) == 1 then
    found[#found + 1] = fingerprint
  end
end
return found
