-- Puts a request aside until its time comes.
-- KEYS[1]  delayed (zset: due time in ms -> "score payload")
-- ARGV[1]  delay in ms    ARGV[2]  score in the queue (the negative priority)    ARGV[3]  payload
-- Returns  1 when it was not there yet, else 0
local time = redis.call('TIME')
local due = time[1] * 1000 + time[2] / 1000 + tonumber(ARGV[1])
return redis.call('ZADD', KEYS[1], string.format('%.0f', due), ARGV[2] .. ' ' .. ARGV[3])
