-- Tells whether nothing is left to be done: nothing is leased, and nothing queued or delayed, or the crawl's maximum of
-- requests has been granted.
-- KEYS[1]  the job's prefix
-- Returns  1 or 0
return is_finished(redis.call('HGET', P .. 'crawl', 'max_requests')) and 1 or 0
