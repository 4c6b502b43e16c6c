-- Sets how many requests the crawl may grant, over all of its workers. Those that it has granted before count, too.
-- KEYS[1]  the job's prefix
-- ARGV[1]  the maximum, "" for none
-- Returns  1
if ARGV[1] == '' then
  redis.call('HDEL', P .. 'crawl', 'max_requests')
else
  redis.call('HSET', P .. 'crawl', 'max_requests', ARGV[1])
end
if not is_finished(redis.call('HGET', P .. 'crawl', 'max_requests')) then
  reopen()
end
return 1
