-- Records a request that never came into the queue as a dead letter.
-- KEYS[1]  the job's prefix
-- ARGV[1]  endpoint    ARGV[2]  payload    ARGV[3]  reason
-- Returns  1
write_although_full()
bury(ARGV[1], '0', 0, ARGV[2], ARGV[3])
return 1
