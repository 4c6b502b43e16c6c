-- Ends the pause of a slot, or, after a success, lets its next pause be a short one again.
-- KEYS[1]  the job's prefix
-- ARGV[1]  the slot, endpoint:egress    ARGV[2]  1 to end the pause, 0 to forget earlier ones only
-- Returns  1 when there was something to change, else 0
local changed = redis.call('HDEL', P .. 'slots', ARGV[1] .. ' strikes')
if ARGV[2] == '1' then
  changed = changed + redis.call(
    'HDEL', P .. 'slots', ARGV[1] .. ' paused_until', ARGV[1] .. ' pause_behind', ARGV[1] .. ' reason'
  )
end
return changed > 0 and 1 or 0
