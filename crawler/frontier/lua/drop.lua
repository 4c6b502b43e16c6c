-- Removes a job, a part at a time, so that Redis is never held up.
-- KEYS[1]  the job's prefix
-- ARGV[1]  how many shards of the seen set at most
-- Returns  how many shards are left; call it again until there are none
clear()
local left = sweep(tonumber(ARGV[1]))
if left == 0 then
  for _, name in ipairs({'seen', 'slots', 'clock', 'workers', 'machines', 'samples', 'crawls'}) do
    redis.call('UNLINK', P .. name)
  end
end
return left
