-- Queues dead letters again, as if they had never failed. What is no letter, which anybody may have written, stays.
-- KEYS[1]  the job's prefix
-- ARGV     ids
-- Returns  how many were queued
local LATEST = 1e11 -- as the clients have it

local function read(text)
  local is_json, letter = pcall(cjson.decode, text)
  if not is_json or type(letter) ~= 'table' then
    return nil
  end
  for _, name in ipairs({'endpoint', 'payload', 'reason'}) do
    if type(letter[name]) ~= 'string' then
      return nil
    end
  end
  local priority, at = tonumber(letter.priority), tonumber(letter.at)
  if not priority or not tonumber(letter.attempts) or not at or at < 0 or at >= LATEST then
    return nil
  end
  priority = string.format('%.0f', priority)
  local entry = make_entry(letter.endpoint, priority, 0, letter.payload)
  if parse_entry(entry) == letter.endpoint then
    return entry, letter.endpoint, priority
  end
end

local now = clock()
local retried = 0
for _, id in ipairs(ARGV) do
  for _, letter in ipairs(redis.call('ZRANGEBYSCORE', P .. 'dead', id, id)) do
    local entry, endpoint, priority = read(letter)
    if entry then
      redis.call('ZREM', P .. 'dead', letter)
      enqueue(entry, endpoint, priority, now)
      retried = retried + 1
    end
  end
end
if retried > 0 then
  reopen()
end
return retried
