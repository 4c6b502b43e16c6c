-- Takes a turn of a slot for a request that is not leased: the same token bucket as that of leases.
-- KEYS[1]  the job's prefix
-- ARGV[1]  the slot, endpoint:egress    ARGV[2]  requests per second    ARGV[3]  how many may start at once
-- ARGV[4]  horizon in ms: a turn further away is not given
-- Returns  {given 0|1, ms until the turn or until it can be asked for again, pauses since the last success}
local now = tick()
local slot = redis.call(
  'HMGET', P .. 'slots', ARGV[1] .. ' tat', ARGV[1] .. ' strikes', ARGV[1] .. ' paused_until',
  ARGV[1] .. ' pause_behind'
)
local strikes = tonumber(slot[2]) or 0
local paused_ms = pause_left(slot[3], slot[4], now)
if paused_ms > 0 then
  return {0, math.ceil(paused_ms), strikes}
end
local interval = 1000 / ARGV[2]
local tat = math.max(tonumber(slot[1]) or 0, now)
local wait = tat - (ARGV[3] - 1) * interval - now
local horizon = tonumber(ARGV[4])
if wait > horizon then
  return {0, math.ceil(wait - horizon), strikes}
end
redis.call('HSET', P .. 'slots', ARGV[1] .. ' tat', stamp(tat + interval))
count_granted_of(ARGV[1], 1)
return {1, math.max(0, math.ceil(wait)), strikes}
