-- Pauses a slot for everybody. Pauses that follow each other without a success between them double.
-- KEYS[1]  the job's prefix
-- ARGV[1]  the slot, endpoint:egress    ARGV[2]  first pause in ms    ARGV[3]  longest pause in ms
-- ARGV[4]  least pause in ms that the site asks for, 0 for none    ARGV[5]  reason
-- Returns  {ms until the pause ends, 1 when this call began or prolonged it, else 0}
local now = clock()
local slot = redis.call(
  'HMGET', P .. 'slots', ARGV[1] .. ' paused_until', ARGV[1] .. ' pause_behind', ARGV[1] .. ' strikes'
)
local left = pause_left(slot[1], slot[2], now)
local least = tonumber(ARGV[4])
write_although_full()

local wait
if left > 0 then
  -- Answers to requests that were under way when the pause began must not prolong it again and again.
  if least <= left then
    return {math.ceil(left), 0}
  end
  wait = least
else
  local strikes = (tonumber(slot[3]) or 0) + 1
  wait = math.max(least, math.min(ARGV[2] * 2 ^ math.min(strikes - 1, 30), tonumber(ARGV[3])))
  redis.call('HSET', P .. 'slots', ARGV[1] .. ' strikes', strikes)
end
local paused_until = stamp(now + wait)
redis.call(
  'HSET', P .. 'slots', ARGV[1] .. ' paused_until', paused_until,
  ARGV[1] .. ' pause_behind', paused_until .. ' ' .. stamp(system_ms() - now), ARGV[1] .. ' reason', ARGV[5]
)
return {math.ceil(wait), 1}
