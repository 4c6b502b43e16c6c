-- Counts what there is, without looking at single requests.
-- KEYS[1]  the job's prefix
-- Returns  {{endpoint, priority, how many are queued, ...}, leased, delayed, dead,
--           {owner, its leases, ...}, {slot, ms until its pause ends or 0, reason, pauses since its last success, ...},
--           seen, shards of the seen set, {name of a count, count, ...}, the crawl's maximum of requests or nil}
local now = clock()
local queued = {}
for _, endpoint in ipairs(redis.call('ZRANGE', P .. 'endpoints', 0, -1)) do
  for _, priority in ipairs(redis.call('ZRANGE', P .. 'priorities:' .. endpoint, 0, -1)) do
    for _, value in ipairs({endpoint, priority, redis.call('LLEN', P .. 'queue:' .. endpoint .. ':' .. priority)}) do
      queued[#queued + 1] = value
    end
  end
end

local by_owner, owners = {}, {}
for _, member in ipairs(redis.call('HKEYS', P .. 'leases')) do
  local owner = string.match(member, '^(.*)/') or member
  by_owner[owner] = (by_owner[owner] or 0) + 1
end
for owner, count in pairs(by_owner) do
  owners[#owners + 1] = owner
  owners[#owners + 1] = count
end

local slots, states = {}, {}
local fields = redis.call('HGETALL', P .. 'slots')
for i = 1, #fields, 2 do
  local slot, field = string.match(fields[i], '^(.*) (%S+)$')
  if slot then
    states[slot] = states[slot] or {}
    states[slot][field] = fields[i + 1]
  end
end
for slot, state in pairs(states) do
  local paused_ms = math.ceil(pause_left(state.paused_until, state.pause_behind, now))
  local reason = paused_ms > 0 and state.reason or ''
  for _, value in ipairs({slot, paused_ms, reason, tonumber(state.strikes) or 0}) do
    slots[#slots + 1] = value
  end
end

local seen = redis.call('HMGET', P .. 'seen', 'count', 'shards')
return {
  queued, redis.call('HLEN', P .. 'leases'), redis.call('ZCARD', P .. 'delayed'), redis.call('ZCARD', P .. 'dead'),
  owners, slots, tonumber(seen[1]) or 0, tonumber(seen[2]) or 0, redis.call('HGETALL', P .. 'counts'),
  redis.call('HGET', P .. 'crawl', 'max_requests'),
}
