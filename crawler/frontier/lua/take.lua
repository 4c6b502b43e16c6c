-- Takes a request's turn from a slot: a token bucket (GCRA) on Redis' clock.
-- KEYS[1]  the slot (hash: tat, paused_until in ms, strikes)
-- ARGV[1]  rate in requests per second    ARGV[2]  burst, requests that may start at once
-- ARGV[3]  horizon in ms: a turn further away is not reserved
-- Returns  {reserved 0|1, wait in ms, strikes, paused 0|1}. Reserved: go after the wait. Else: ask again after it.
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local slot = redis.call('HMGET', KEYS[1], 'tat', 'paused_until', 'strikes')
local strikes = tonumber(slot[3]) or 0
local paused_until = tonumber(slot[2]) or 0
if paused_until > now then
  return {0, math.ceil(paused_until - now), strikes, 1}
end

-- tat is the "theoretical arrival time" of the next request of a stream that keeps the rate exactly.
local interval = 1000 / tonumber(ARGV[1])
local tat = math.max(tonumber(slot[1]) or 0, now)
local wait = tat - (tonumber(ARGV[2]) - 1) * interval - now
local horizon = tonumber(ARGV[3])
if wait > horizon then
  return {0, math.ceil(math.min(wait - horizon, horizon)), strikes, 0}
end
redis.call('HSET', KEYS[1], 'tat', string.format('%.3f', tat + interval))
return {1, math.max(0, math.ceil(wait)), strikes, 0}
