-- Marks requests as seen without queueing them.
-- KEYS[1]  the job's prefix
-- ARGV     fingerprints
-- Returns  how many were new
-- While Redis is full it is refused before it has changed anything.
open_seen()
local before = seen.count
for _, fingerprint in ipairs(ARGV) do
  see(fingerprint)
end
if seen.count > before then
  save_seen()
end
return seen.count - before
