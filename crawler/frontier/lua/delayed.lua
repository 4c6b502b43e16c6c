-- Shows requests that wait to be tried again, the next first.
-- KEYS[1]  the job's prefix
-- ARGV[1]  how many to leave out    ARGV[2]  how many at most
-- Returns  {ms until it is due, serial number and entry, ...}
local now = clock()
local found = redis.call('ZRANGE', P .. 'delayed', ARGV[1], ARGV[1] + ARGV[2] - 1, 'WITHSCORES')
local delayed = {}
for i = 1, #found, 2 do
  delayed[i] = math.ceil(math.max(0, found[i + 1] - now))
  delayed[i + 1] = found[i]
end
return delayed
