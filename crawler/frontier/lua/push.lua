-- Queues requests that were never seen in this job; those without a fingerprint in any case.
-- KEYS[1]  the job's prefix
-- ARGV[1]  JSON: [[endpoint, priority, fingerprint or "", payload], ...], all texts
-- Returns  how many were new
-- While Redis is full it is refused before it has changed anything.
open_seen()
local added = push(cjson.decode(ARGV[1]), (clock()))
if added > 0 then
  save_seen()
  reopen()
end
return added
