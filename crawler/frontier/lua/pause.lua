-- Pauses a slot for everybody. Pauses that follow each other without a success between them double.
-- KEYS[1]  the slot (hash)    KEYS[2]  index of pauses (hash: slot name -> "until in ms|reason")
-- ARGV[1]  name of the slot   ARGV[2]  first pause in ms    ARGV[3]  longest pause in ms
-- ARGV[4]  least pause in ms that the site asks for, 0 for none    ARGV[5]  reason
-- Returns  {ms until the pause ends, 1 when this call began or prolonged it, else 0}
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local slot = redis.call('HMGET', KEYS[1], 'paused_until', 'strikes')
local paused_until = tonumber(slot[1]) or 0
local least = tonumber(ARGV[4])

local until_ms
if paused_until > now then
  -- Answers to requests that were under way when the pause began must not prolong it again and again.
  if now + least <= paused_until then
    return {math.ceil(paused_until - now), 0}
  end
  until_ms = now + least
else
  local strikes = (tonumber(slot[2]) or 0) + 1
  local wait = math.min(tonumber(ARGV[2]) * 2 ^ math.min(strikes - 1, 30), tonumber(ARGV[3]))
  until_ms = now + math.max(wait, least)
  redis.call('HSET', KEYS[1], 'strikes', strikes)
end
local stamp = string.format('%.0f', math.ceil(until_ms))
redis.call('HSET', KEYS[1], 'paused_until', stamp)
redis.call('HSET', KEYS[2], ARGV[1], stamp .. '|' .. ARGV[5])
return {math.ceil(until_ms - now), 1}
