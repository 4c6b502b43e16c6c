-- The set of fingerprints, 63-bit integers in decimal; put before the scripts that use it.
--
-- It lies in shards that Redis keeps as sorted arrays of integers (intsets, 8 bytes each) as long as they have at most
-- 512 members (set-max-intset-entries). Linear hashing adds shards one by one: whenever there are SHARD_LOAD members
-- for each, the next shard in turn is split in two. None gets more than about 2 * SHARD_LOAD.
local SHARD_LOAD = 200
local MOST_SHARDS = 2 ^ 24

local seen = {}

local function open_seen()
  local state = redis.call('HMGET', P .. 'seen', 'generation', 'count', 'shards')
  seen.generation = state[1] or '0'
  seen.count = tonumber(state[2]) or 0
  seen.shards = tonumber(state[3]) or 1
end

local function save_seen()
  redis.call('HSET', P .. 'seen', 'generation', seen.generation, 'count', seen.count, 'shards', seen.shards)
end

local function shard_key(number)
  return P .. 'seen:' .. seen.generation .. ':' .. number
end

-- The lowest 24 bits: Lua's numbers hold 53, so the digits are taken in two parts.
local function low_bits(fingerprint)
  local high, low = tonumber(string.sub(fingerprint, 1, -10)) or 0, tonumber(string.sub(fingerprint, -9))
  return (high % MOST_SHARDS * (1e9 % MOST_SHARDS) + low) % MOST_SHARDS
end

local function half_of(shards)
  local half = 1
  while half * 2 <= shards do
    half = half * 2
  end
  return half
end

local function shard_of(fingerprint)
  local half = half_of(seen.shards)
  local bits = low_bits(fingerprint)
  local shard = bits % (half * 2)
  return shard < seen.shards and shard or bits % half
end

local function split_next()
  local half = half_of(seen.shards)
  local source, target = shard_key(seen.shards - half), shard_key(seen.shards)
  local moved = {}
  for _, fingerprint in ipairs(redis.call('SMEMBERS', source)) do
    if low_bits(fingerprint) % (half * 2) == seen.shards then
      moved[#moved + 1] = fingerprint
    end
  end
  if #moved > 0 then
    redis.call('SADD', target, unpack(moved))
    redis.call('SREM', source, unpack(moved))
  end
  seen.shards = seen.shards + 1
end

-- Adds a fingerprint; false if it was there.
local function see(fingerprint)
  if redis.call('SADD', shard_key(shard_of(fingerprint)), fingerprint) == 0 then
    return false
  end
  seen.count = seen.count + 1
  if seen.count > seen.shards * SHARD_LOAD and seen.shards < MOST_SHARDS then
    split_next()
  end
  return true
end

-- Queues requests, each {endpoint, priority, fingerprint or "", payload}, unless they were seen; returns how many.
-- To be followed by save_seen in the same call.
local function push(requests, now)
  local added = 0
  for _, request in ipairs(requests) do
    local endpoint, priority, fingerprint, payload = unpack(request)
    if fingerprint == '' or see(fingerprint) then
      enqueue(make_entry(endpoint, priority, 0, payload), endpoint, priority, now)
      added = added + 1
    end
  end
  return added
end
