-- Drops what is queued and delayed; what is leased can still be completed.
-- KEYS[1]  the job's prefix
-- Returns  how many requests are leased
drop_queue()
return redis.call('HLEN', P .. 'leases')
