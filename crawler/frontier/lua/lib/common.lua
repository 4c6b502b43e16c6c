-- What the scripts share; put before each of them.
--
-- KEYS[1] of every script is the job's prefix "{job}:". All keys are made from it: its braces keep a job on one node
-- of a Redis Cluster.
--
-- An entry is one request as it lies in the queue: "endpoint priority attempts payload".
local P = KEYS[1]

local function system_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + time[2] / 1000
end

local function stamp(ms)
  return string.format('%.3f', ms)
end

-- The frontier's clock, in ms. It follows Redis' clock, but never runs backwards, and between two looks it steps by a
-- third of a lease at most: while Redis is away, or its clock jumps, leases do not expire under workers that are alive
-- and renew them whenever another third is over.
local function clock()
  local real = system_ms()
  local last = redis.call('HMGET', P .. 'clock', 'real', 'now', 'longest_step')
  if not last[1] then
    return real, real
  end
  return last[2] + math.max(0, math.min(real - last[1], tonumber(last[3]) or math.huge)), real
end

-- For a script that has to run while Redis is full: after its first write, such as this one, which needs no memory,
-- Redis refuses a script nothing.
local function write_although_full()
  redis.call('PERSIST', P .. 'clock')
end

-- Moves the clock on; gives the time.
local function tick(lease_ms)
  local now, real = clock()
  write_although_full()
  redis.call('HSET', P .. 'clock', 'real', stamp(real), 'now', stamp(now))
  if lease_ms then
    redis.call('HSET', P .. 'clock', 'longest_step', stamp(lease_ms / 3))
  end
  return now
end

-- How many ms a slot's pause still lasts, 0 for none, by its fields `paused_until`, a time of the frontier's clock, and
-- `pause_behind`, the same time and how far that was behind Redis' own clock when the pause began. It is over when it is
-- so by either: the site's memory does not wait for the frontier's clock, which stands still while nobody leases; and
-- Redis' own may be put back.
local function pause_left(paused_until, pause_behind, now)
  local left = (tonumber(paused_until) or 0) - now
  local of, behind = string.match(pause_behind or '', '^(%S+) (%S+)$')
  if of and of == paused_until then -- workers of an older release set the first alone, and leave an earlier second
    left = math.min(left, paused_until + behind - system_ms())
  end
  return math.max(0, left)
end

local function make_entry(endpoint, priority, attempts, payload)
  return endpoint .. ' ' .. priority .. ' ' .. attempts .. ' ' .. payload
end

local MOST_DIGITS = 12 -- of a number in an entry, so that Lua and JSON have it exactly

-- Gives endpoint, priority, attempts, payload; nothing for what is no entry.
local function parse_entry(entry)
  local endpoint, priority, attempts, payload = string.match(entry, '^(%S+) (%-?%d+) (%d+) (.*)$')
  if endpoint and #priority <= MOST_DIGITS and #attempts <= MOST_DIGITS then
    return endpoint, priority, attempts, payload
  end
end

local known = {} -- queues that this call has entered in the indexes

-- Appends an entry to its queue, or puts it before the others.
local function enqueue(entry, endpoint, priority, now, is_first)
  local queue = P .. 'queue:' .. endpoint .. ':' .. priority
  redis.call(is_first and 'LPUSH' or 'RPUSH', queue, entry)
  if not known[queue] then
    redis.call('ZADD', P .. 'priorities:' .. endpoint, -priority, priority)
    redis.call('ZADD', P .. 'endpoints', 'NX', stamp(now), endpoint)
    known[queue] = true
  end
end

-- Numbers letters and delayed requests.
local function serial()
  return string.format('%.0f', redis.call('HINCRBY', P .. 'counts', 'serial', 1))
end

local function bury(endpoint, priority, attempts, payload, reason)
  local number = serial()
  local letter = cjson.encode({
    id = number, endpoint = endpoint, priority = priority, attempts = attempts, payload = payload, reason = reason,
    at = system_ms() / 1000,
  })
  redis.call('ZADD', P .. 'dead', number, letter)
end

local function drop_lease(member)
  redis.call('HDEL', P .. 'leases', member)
  redis.call('ZREM', P .. 'deadlines', member)
end

-- Requests that the crawl has granted: leased, and not given back unsent.
local function granted()
  return tonumber(redis.call('HGET', P .. 'counts', 'granted')) or 0
end

local function count_granted(number)
  redis.call('HINCRBY', P .. 'counts', 'granted', number)
end

-- Counts by slot, too, which tells what of each budget is used.
local function count_granted_of(slot, number)
  redis.call('HINCRBY', P .. 'counts', 'granted ' .. slot, number)
end

-- How many more the crawl's maximum of requests allows; false is none.
local function left_of(max_requests)
  return max_requests and max_requests - granted() or math.huge
end

-- Tells whether nothing is leased, and nothing queued or delayed, or nothing is left to be granted.
local function is_finished(max_requests)
  if left_of(max_requests) <= 0 then
    return redis.call('EXISTS', P .. 'leases') == 0
  end
  return redis.call('EXISTS', P .. 'endpoints', P .. 'leases', P .. 'delayed') == 0
end

-- A job with new work is not finished.
local function reopen()
  if redis.call('HGET', P .. 'crawl', 'state') == 'finished' then
    redis.call('HSET', P .. 'crawl', 'state', 'running', 'resumed_at', stamp(system_ms() / 1000))
    redis.call('HDEL', P .. 'crawl', 'finished_at')
  end
end
