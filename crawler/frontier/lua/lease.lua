-- Leases ready requests, one of each endpoint in turn: of an endpoint the highest priority first, first in first out among
-- equals. Endpoints that wait for longer than a second come first, the longest waiting before others; then those with the
-- highest priority. Each gives only what the budget of its slot, (endpoint, outgoing address), allows: a token bucket (GCRA).
-- All together give no more than is left of the crawl's maximum of requests.
-- KEYS[1]  the job's prefix
-- ARGV[1]  owner    ARGV[2]  number of this call, never used before by this owner    ARGV[3]  how many at most, up to 1000
-- ARGV[4]  length of the leases in ms    ARGV[5]  outgoing address
-- ARGV[6]  JSON: {endpoint: [requests per second, how many may start at once]}; "*" is for all others, none is no limit
-- ARGV[7]  horizon in ms: turns further away are not given
-- Returns  {crawl's state, its id, ms until it may give more or -1 if only others can change that, is finished 0|1,
--           {number in the call, ms until its turn, pauses of the slot since its last success, entry, ...}}
-- While the crawl is held (hold.lua) it gives nothing new.
-- A lease's id is "call.number"; what a caller never heard of it can release by these ids.
local OVERDUE_MS = 1000
local MOST_LEASES = 1000
local MOST_DUE = 200
local ENDPOINTS_AT_ONCE = 100
local HELD_MS = 1000 -- until it is worth asking again

local owner, call, lease_ms, egress, limits = ARGV[1], ARGV[2], tonumber(ARGV[4]), ARGV[5], cjson.decode(ARGV[6])
local wanted, horizon = math.min(tonumber(ARGV[3]), MOST_LEASES), tonumber(ARGV[7])
local now = tick(lease_ms)
local crawl = redis.call('HMGET', P .. 'crawl', 'state', 'id', 'max_requests', 'paused_at')
local is_held = crawl[4]
local left = left_of(crawl[3])
local leases, given = {}, 0

local function member_of(number)
  return owner .. '/' .. call .. '.' .. number
end

local function give(number, wait, strikes, entry)
  for _, value in ipairs({number, wait, tonumber(strikes) or 0, entry}) do
    leases[#leases + 1] = value
  end
end

-- The same call again, since its reply was lost, has the same answer: it must not write over the leases of the first.
local function give_again()
  local members = {}
  for number = 1, wanted do
    members[number] = member_of(number)
  end
  for number, entry in ipairs(wanted > 0 and redis.call('HMGET', P .. 'leases', unpack(members)) or {}) do
    if entry then
      local turn = redis.call('ZSCORE', P .. 'deadlines', members[number]) - lease_ms
      local slot = parse_entry(entry) .. ':' .. egress
      give(number, math.max(0, math.ceil(turn - now)), redis.call('HGET', P .. 'slots', slot .. ' strikes'), entry)
    end
  end
  return #leases > 0
end

local function queue_delayed()
  local due = redis.call('ZRANGEBYSCORE', P .. 'delayed', '-inf', stamp(now), 'LIMIT', 0, MOST_DUE)
  for i = #due, 1, -1 do
    redis.call('ZREM', P .. 'delayed', due[i])
    local entry = string.match(due[i], '^%S+ (.*)$')
    local endpoint, priority = parse_entry(entry)
    enqueue(entry, endpoint, priority, now, true)
  end
end

local next_ms
local function come_back_after(ms)
  next_ms = math.min(next_ms or ms, ms)
end

-- What an endpoint may give; nil if nothing.
local function offer_of(endpoint, served_at)
  local slot = endpoint .. ':' .. egress
  local state = redis.call(
    'HMGET', P .. 'slots', slot .. ' tat', slot .. ' strikes', slot .. ' paused_until', slot .. ' pause_behind'
  )
  local paused_ms = pause_left(state[3], state[4], now)
  if paused_ms > 0 then
    come_back_after(paused_ms)
    return nil
  end
  local offer = {endpoint = endpoint, slot = slot, strikes = state[2], served_at = served_at, turns = wanted, given = 0}
  local limit = limits[endpoint] or limits['*']
  if limit then
    -- tat is the "theoretical arrival time" of the next request of a stream that keeps the rate exactly.
    offer.interval = 1000 / limit[1]
    offer.tat = math.max(tonumber(state[1]) or 0, now)
    offer.wait = offer.tat - (limit[2] - 1) * offer.interval - now
    offer.turns = math.floor((horizon - offer.wait) / offer.interval) + 1
    if offer.turns < 1 then
      come_back_after(offer.wait - horizon)
      return nil
    end
  end
  offer.is_overdue = now - served_at > OVERDUE_MS
  offer.rank = tonumber(redis.call('ZRANGE', P .. 'priorities:' .. endpoint, 0, 0)[1]) or 0
  return offer
end

-- Offers in the order in which they are to be served. That of endpoints is the order in which they were served last:
-- once enough that are overdue have something, no others are looked at.
local function find_offers()
  local offers, start = {}, 0
  repeat
    local endpoints = redis.call('ZRANGE', P .. 'endpoints', start, start + ENDPOINTS_AT_ONCE - 1, 'WITHSCORES')
    for i = 1, #endpoints, 2 do
      offers[#offers + 1] = offer_of(endpoints[i], tonumber(endpoints[i + 1]))
    end
    start = start + ENDPOINTS_AT_ONCE
    local is_end = #endpoints < 2 * ENDPOINTS_AT_ONCE
    if not is_end and #offers >= math.max(wanted, 1) and offers[#offers].is_overdue then
      come_back_after(0)
      is_end = true
    end
  until is_end
  table.sort(offers, function(one, other)
    if one.is_overdue ~= other.is_overdue then
      return one.is_overdue
    end
    if not one.is_overdue and one.rank ~= other.rank then
      return one.rank > other.rank
    end
    if one.served_at ~= other.served_at then
      return one.served_at < other.served_at
    end
    return one.endpoint < other.endpoint
  end)
  return offers
end

-- Turns to the endpoint's first queue that holds something; none is left where its length is 0.
local function open_queue(offer)
  local priorities = P .. 'priorities:' .. offer.endpoint
  repeat
    offer.priority = redis.call('ZRANGE', priorities, 0, 0)[1]
    if not offer.priority then
      redis.call('ZREM', P .. 'endpoints', offer.endpoint)
      offer.length = 0
      return
    end
    offer.queue = P .. 'queue:' .. offer.endpoint .. ':' .. offer.priority
    offer.length = redis.call('LLEN', offer.queue)
    if offer.length == 0 then
      redis.call('ZREM', priorities, offer.priority)
    end
  until offer.length > 0
end

local number = 0
local function lease_first(offer)
  local entry = redis.call('LPOP', offer.queue)
  offer.length = offer.length - 1
  number = number + 1
  local endpoint, priority = parse_entry(entry)
  if endpoint ~= offer.endpoint or priority ~= offer.priority then
    bury(offer.endpoint, offer.priority, 0, entry, 'not an entry of this queue')
    return
  end
  local wait = math.max(0, math.ceil(offer.wait or 0))
  if offer.interval then
    offer.wait = offer.wait + offer.interval
    offer.tat = offer.tat + offer.interval
  end
  offer.turns = offer.turns - 1
  offer.given = offer.given + 1
  redis.call('HSET', P .. 'leases', member_of(number), entry)
  redis.call('ZADD', P .. 'deadlines', stamp(now + wait + lease_ms), member_of(number))
  give(number, wait, offer.strikes, entry)
  given = given + 1
end

local function serve(offers)
  local is_any_left = true
  while is_any_left and number < wanted and given < left do
    is_any_left = false
    for _, offer in ipairs(offers) do
      if number < wanted and given < left and offer.turns > 0 and offer.length ~= 0 then
        if not offer.length then
          open_queue(offer)
        end
        if offer.length > 0 then
          lease_first(offer)
          is_any_left = true
        end
        if offer.length == 0 then
          open_queue(offer)
        end
      end
    end
  end
  for _, offer in ipairs(offers) do
    if offer.given > 0 then
      if offer.tat then
        redis.call('HSET', P .. 'slots', offer.slot .. ' tat', stamp(offer.tat))
      end
      redis.call('ZADD', P .. 'endpoints', 'XX', stamp(now), offer.endpoint)
      count_granted_of(offer.slot, offer.given)
    end
    if offer.length ~= 0 then
      come_back_after(offer.interval and math.max(0, offer.wait - horizon) or 0)
    end
  end
end

if give_again() then
  come_back_after(0)
elseif not is_held then
  queue_delayed()
  serve(find_offers())
  if given > 0 then
    count_granted(given)
  end
end
local due = redis.call('ZRANGE', P .. 'delayed', 0, 0, 'WITHSCORES')[2]
if is_held then
  come_back_after(HELD_MS)
elseif due then
  come_back_after(math.max(0, due - now))
end
if given >= left then
  next_ms = nil
end
return {
  crawl[1] or 'none', crawl[2] or '', next_ms and math.ceil(next_ms) or -1, is_finished(crawl[3]) and 1 or 0, leases,
}
