-- Removal of earlier generations of the seen set, which have too many shards to be removed at once; put before the
-- scripts that use it. `garbage` (hash): generation -> shards that are left of it.

-- Leaves the present seen set to be removed bit by bit, and begins an empty one.
local function abandon_seen()
  local state = redis.call('HMGET', P .. 'seen', 'generation', 'shards')
  local generation = state[1] or '0'
  if state[2] then
    redis.call('HSET', P .. 'garbage', generation, state[2])
  end
  redis.call('UNLINK', P .. 'seen')
  redis.call('HSET', P .. 'seen', 'generation', string.format('%d', generation + 1))
end

-- Removes up to `most` shards; returns how many are left.
local function sweep(most)
  local left = 0
  local garbage = redis.call('HGETALL', P .. 'garbage')
  for i = 1, #garbage, 2 do
    local generation, shards = garbage[i], tonumber(garbage[i + 1])
    while shards > 0 and most > 0 do
      shards, most = shards - 1, most - 1
      redis.call('UNLINK', P .. 'seen:' .. generation .. ':' .. shards)
    end
    if shards > 0 then
      redis.call('HSET', P .. 'garbage', generation, shards)
    else
      redis.call('HDEL', P .. 'garbage', generation)
    end
    left = left + shards
  end
  return left
end

local function drop_queue()
  for _, endpoint in ipairs(redis.call('ZRANGE', P .. 'endpoints', 0, -1)) do
    for _, priority in ipairs(redis.call('ZRANGE', P .. 'priorities:' .. endpoint, 0, -1)) do
      redis.call('UNLINK', P .. 'queue:' .. endpoint .. ':' .. priority)
    end
    redis.call('UNLINK', P .. 'priorities:' .. endpoint)
  end
  redis.call('UNLINK', P .. 'endpoints', P .. 'delayed')
end

-- Removes all that belongs to one crawl: not the slots, since politeness outlives it.
local function clear()
  drop_queue()
  for _, name in ipairs({
    'leases', 'deadlines', 'dead', 'counts', 'pages', 'outcomes', 'totals', 'history', 'seeds', 'crawl',
  }) do
    redis.call('UNLINK', P .. name)
  end
  abandon_seen()
end
