-- Pauses a slot for everybody. Pauses that follow each other without a success between them double.
-- KEYS[1]  the job's prefix
-- ARGV[1]  the slot, endpoint:egress    ARGV[2]  first pause in ms    ARGV[3]  longest pause in ms
-- ARGV[4]  least pause in ms that the site asks for, 0 for none    ARGV[5]  reason
-- Returns  {ms until the pause ends, 1 when this call began or prolonged it, else 0}
local now = clock()
local slot = redis.call('HMGET', P .. 'slots', ARGV[1] .. ' paused_until', ARGV[1] .. ' strikes')
local paused_until = tonumber(slot[1]) or 0
local least = tonumber(ARGV[4])
write_although_full()

local until_ms
if paused_until > now then
  -- Answers to requests that were under way when the pause began must not prolong it again and again.
  if now + least <= paused_until then
    return {math.ceil(paused_until - now), 0}
  end
  until_ms = now + least
else
  local strikes = (tonumber(slot[2]) or 0) + 1
  local wait = math.min(ARGV[2] * 2 ^ math.min(strikes - 1, 30), tonumber(ARGV[3]))
  until_ms = now + math.max(wait, least)
  redis.call('HSET', P .. 'slots', ARGV[1] .. ' strikes', strikes)
end
redis.call('HSET', P .. 'slots', ARGV[1] .. ' paused_until', stamp(until_ms), ARGV[1] .. ' reason', ARGV[5])
return {math.ceil(until_ms - now), 1}
