-- Tells whether nothing is queued, leased or delayed.
-- KEYS[1]  the job's prefix
-- Returns  1 or 0
return redis.call('EXISTS', P .. 'endpoints', P .. 'leases', P .. 'delayed') == 0 and 1 or 0
