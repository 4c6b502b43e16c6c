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

-- The frontier's clock, in ms. It follows Redis' clock, but never runs backwards, and steps at most LONGEST_STEP_MS
-- between two looks: while Redis is away, or its clock jumps, leases do not expire under workers that are alive.
local LONGEST_STEP_MS = 10000

local function clock()
  local real = system_ms()
  local last = redis.call('HMGET', P .. 'clock', 'real', 'now')
  if not last[1] then
    return real, real
  end
  local step = math.max(0, math.min(real - last[1], LONGEST_STEP_MS))
  return last[2] + step, real
end

-- Moves the clock on. A script that may run while Redis is full has to write something first that needs no memory:
-- after a script's first write Redis refuses it nothing.
local function tick(now, real)
  redis.call('PERSIST', P .. 'clock')
  redis.call('HSET', P .. 'clock', 'real', stamp(real), 'now', stamp(now))
end

local function make_entry(endpoint, priority, attempts, payload)
  return endpoint .. ' ' .. priority .. ' ' .. attempts .. ' ' .. payload
end

-- Gives endpoint, priority, attempts, payload; nothing for what is no entry.
local function parse_entry(entry)
  return string.match(entry, '^(%S+) (%-?%d+) (%d+) (.*)$')
end

local function enqueue(entry, endpoint, priority, now, is_first)
  local queue = P .. 'queue:' .. endpoint .. ':' .. priority
  if redis.call(is_first and 'LPUSH' or 'RPUSH', queue, entry) == 1 then
    redis.call('ZADD', P .. 'priorities:' .. endpoint, -priority, priority)
    redis.call('ZADD', P .. 'endpoints', 'NX', stamp(now), endpoint)
  end
end

local function serial()
  return string.format('%.0f', redis.call('HINCRBY', P .. 'counts', 'serial', 1))
end

local function bury(endpoint, priority, attempts, payload, reason)
  local number = serial()
  local letter = cjson.encode({
    id = number, endpoint = endpoint, priority = tonumber(priority), attempts = tonumber(attempts), payload = payload,
    reason = reason, at = system_ms() / 1000,
  })
  redis.call('ZADD', P .. 'dead', number, letter)
end

-- One failed attempt more: back to the queue's head at once, or to the dead letters after the last one.
local function again_or_bury(entry, reason, max_attempts, now)
  local endpoint, priority, attempts, payload = parse_entry(entry)
  attempts = string.format('%d', attempts + 1)
  if tonumber(attempts) >= max_attempts then
    bury(endpoint, priority, attempts, payload, reason)
  else
    enqueue(make_entry(endpoint, priority, attempts, payload), endpoint, priority, now, true)
  end
end

local function drop_lease(member)
  redis.call('HDEL', P .. 'leases', member)
  redis.call('ZREM', P .. 'deadlines', member)
end

-- A job with new work is not finished.
local function reopen()
  if redis.call('HGET', P .. 'crawl', 'state') == 'finished' then
    redis.call('HSET', P .. 'crawl', 'state', 'running')
    redis.call('HDEL', P .. 'crawl', 'finished_at')
  end
end
