-- Shows what workers hold, bit by bit, as HSCAN does: what is leased all the while comes at least once.
-- KEYS[1]  the job's prefix
-- ARGV[1]  cursor, "0" at first    ARGV[2]  about how many
-- Returns  {next cursor, "0" at the end, {owner, id, ms until the lease runs out, entry, ...}}
local now = clock()
local found = redis.call('HSCAN', P .. 'leases', ARGV[1], 'COUNT', ARGV[2])
local held = {}
for i = 1, #found[2], 2 do
  local member = found[2][i]
  local owner, id = string.match(member, '^(.*)/([^/]*)$')
  local deadline = redis.call('ZSCORE', P .. 'deadlines', member)
  for _, value in ipairs({owner or '', id or member, math.ceil((deadline or now) - now), found[2][i + 1]}) do
    held[#held + 1] = value
  end
end
return {found[1], held}
