-- Leases ready requests: of each endpoint the highest priority first, first in first out among equals. One of each endpoint
-- in turn, that of the highest priority first; an endpoint that waited for longer than a second comes before that.
-- Each endpoint gives only what the budget of its slot, (endpoint, outgoing address), allows: a token bucket (GCRA).
-- KEYS[1]  the job's prefix
-- ARGV[1]  owner    ARGV[2]  number of this call, never used before by this owner    ARGV[3]  how many at most
-- ARGV[4]  length of the leases in ms    ARGV[5]  outgoing address
-- ARGV[6]  JSON: {endpoint: [requests per second, how many may start at once]}; "*" is for all others, none is no limit
-- ARGV[7]  horizon in ms: turns further away are not given
-- Returns  {crawl's state, its id, ms until it may give more or -1 if only others can change that, is finished 0|1,
--           {number in the call, ms until its turn, pauses of the slot since its last success, entry, ...}}
-- A lease's id is "call.number"; what a caller never heard of it can release by these ids.
local OVERDUE_MS = 1000
local MOST_DUE = 200

local owner, call, wanted, lease_ms, egress = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local limits, horizon = cjson.decode(ARGV[6]), tonumber(ARGV[7])
local now, real = clock()
tick(now, real)

for _, item in ipairs(redis.call('ZRANGEBYSCORE', P .. 'delayed', '-inf', stamp(now), 'LIMIT', 0, MOST_DUE)) do
  redis.call('ZREM', P .. 'delayed', item)
  local entry = string.sub(item, string.find(item, ' ', 1, true) + 1)
  local endpoint, priority = parse_entry(entry)
  enqueue(entry, endpoint, priority, now, true)
end

local next_ms
local function come_back_after(ms)
  next_ms = math.min(next_ms or ms, ms)
end

-- What may be taken of an endpoint: its first entries, as many as its slot has turns for.
local function offer_of(endpoint, served_at)
  local name = endpoint .. ':' .. egress
  local slot = redis.call('HMGET', P .. 'slots', name .. ' tat', name .. ' paused_until', name .. ' strikes')
  local paused_until = tonumber(slot[2]) or 0
  if paused_until > now then
    come_back_after(paused_until - now)
    return nil
  end
  local offer = {
    endpoint = endpoint, served_at = tonumber(served_at), strikes = tonumber(slot[3]) or 0, slot = name,
    entries = {}, queues = {}, taken = 0, turns = wanted,
  }
  local limit = limits[endpoint] or limits['*']
  if limit then
    -- tat is the "theoretical arrival time" of the next request of a stream that keeps the rate exactly.
    offer.interval = 1000 / limit[1]
    offer.tat = math.max(tonumber(slot[1]) or 0, now)
    offer.first = offer.tat - (limit[2] - 1) * offer.interval - now
    offer.turns = math.min(wanted, math.floor((horizon - offer.first) / offer.interval) + 1)
    if offer.turns < 1 then
      come_back_after(offer.first - horizon)
      return nil
    end
  end
  for _, priority in ipairs(redis.call('ZRANGE', P .. 'priorities:' .. endpoint, 0, -1)) do
    offer.priority = offer.priority or tonumber(priority)
    local queue = P .. 'queue:' .. endpoint .. ':' .. priority
    local entries = redis.call('LRANGE', queue, 0, offer.turns - #offer.entries - 1)
    if #entries == 0 then -- somebody removed it
      redis.call('ZREM', P .. 'priorities:' .. endpoint, priority)
    end
    for _, entry in ipairs(entries) do
      offer.entries[#offer.entries + 1] = entry
      offer.queues[#offer.queues + 1] = {queue, priority}
    end
    if #offer.entries >= offer.turns then
      break
    end
  end
  offer.priority = offer.priority or 0
  return offer
end

local offers = {}
local endpoints = redis.call('ZRANGE', P .. 'endpoints', 0, -1, 'WITHSCORES')
for i = 1, #endpoints, 2 do
  offers[#offers + 1] = offer_of(endpoints[i], endpoints[i + 1])
end
table.sort(offers, function(one, other)
  local is_one_overdue, is_other_overdue = now - one.served_at > OVERDUE_MS, now - other.served_at > OVERDUE_MS
  if is_one_overdue ~= is_other_overdue then
    return is_one_overdue
  end
  if one.priority ~= other.priority then
    return one.priority > other.priority
  end
  if one.served_at ~= other.served_at then
    return one.served_at < other.served_at
  end
  return one.endpoint < other.endpoint
end)

local leases, taken = {}, 0
local function take(offer)
  offer.taken = offer.taken + 1
  local entry = offer.entries[offer.taken]
  if not parse_entry(entry) then
    bury(offer.endpoint, offer.queues[offer.taken][2], 0, entry, 'not an entry of this queue')
    return
  end
  local wait = 0
  if offer.interval then
    wait = math.max(0, math.ceil(offer.first))
    offer.first = offer.first + offer.interval
    offer.tat = offer.tat + offer.interval
  end
  taken = taken + 1
  local member = owner .. '/' .. call .. '.' .. taken
  redis.call('HSET', P .. 'leases', member, entry)
  redis.call('ZADD', P .. 'deadlines', stamp(now + wait + lease_ms), member)
  for _, value in ipairs({taken, wait, offer.strikes, entry}) do
    leases[#leases + 1] = value
  end
end

local is_any_left = true
while is_any_left and taken < wanted do
  is_any_left = false
  for _, offer in ipairs(offers) do
    if taken < wanted and offer.taken < #offer.entries then
      take(offer)
      is_any_left = true
    end
  end
end

for _, offer in ipairs(offers) do
  local first = 1
  while first <= offer.taken do
    local queue, priority = unpack(offer.queues[first])
    local last = first
    while last < offer.taken and offer.queues[last + 1][1] == queue do
      last = last + 1
    end
    redis.call('LTRIM', queue, last - first + 1, -1)
    if redis.call('EXISTS', queue) == 0 then
      redis.call('ZREM', P .. 'priorities:' .. offer.endpoint, priority)
    end
    first = last + 1
  end
  if offer.taken > 0 then
    if offer.tat then
      redis.call('HSET', P .. 'slots', offer.slot .. ' tat', stamp(offer.tat))
    end
    redis.call('ZADD', P .. 'endpoints', stamp(now), offer.endpoint)
  end
  if redis.call('EXISTS', P .. 'priorities:' .. offer.endpoint) == 0 then
    redis.call('ZREM', P .. 'endpoints', offer.endpoint)
  elseif offer.interval then
    come_back_after(math.max(0, offer.first - horizon))
  else
    come_back_after(0)
  end
end
local due = redis.call('ZRANGE', P .. 'delayed', 0, 0, 'WITHSCORES')[2]
if due then
  come_back_after(math.max(0, due - now))
end

local crawl = redis.call('HMGET', P .. 'crawl', 'state', 'id')
local is_finished = redis.call('EXISTS', P .. 'endpoints', P .. 'leases', P .. 'delayed') == 0
return {
  crawl[1] or 'none', crawl[2] or '', next_ms and math.ceil(next_ms) or -1, is_finished and 1 or 0, leases,
}
