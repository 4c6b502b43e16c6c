"""When a crawl without leases is over."""

from frontier.job import FinishDetector, Surroundings


def look(now, *, queued=0, state="running", crawl_id="a", **workers):
    beats = {
        name: {"at": at, "leased": leased, "taken": taken} for name, (at, leased, taken) in workers.items()
    }
    return Surroundings(now, state, crawl_id, 0, queued, 0, 0, beats)


def verdicts(*looks):
    detector = FinishDetector()
    return [detector.is_over(seen) for seen in looks]


def test_over_after_quiet_heartbeats_of_everybody():
    assert verdicts(look(10, a=(10, 0, 5), b=(9.5, 0, 7)), look(12.5, a=(12.5, 0, 5), b=(11.5, 0, 7))) == [
        False,
        True,
    ]


def test_not_over_while_something_waits_or_is_in_work():
    quiet = look(10, a=(10, 0, 5))
    assert verdicts(quiet, look(12.5, queued=1, a=(12.5, 0, 5))) == [False, False]
    assert verdicts(quiet, look(12.5, a=(12.5, 1, 6))) == [False, False]


def test_not_over_when_a_request_was_taken_unseen():
    # It was taken after the first heartbeat, and done before the second.
    assert verdicts(look(10, a=(9.1, 0, 5)), look(12.5, a=(12, 0, 6))) == [False, False]


def test_not_over_before_everybody_was_heard_of_again():
    assert verdicts(look(10, a=(10, 0, 5), b=(9, 0, 7)), look(12.5, a=(12.5, 0, 5), b=(9, 0, 7))) == [
        False,
        False,
    ]


def test_dead_workers_do_not_hold_it_up():
    dead = (1, 3, 9)
    assert verdicts(look(20, a=(20, 0, 5), dead=dead), look(23, a=(23, 0, 5), dead=dead)) == [False, True]


def test_a_worker_that_joins_delays_it():
    joined = look(12.5, a=(12.5, 0, 5), b=(12, 0, 0))
    later = look(15, a=(15, 0, 5), b=(14.5, 0, 0))
    assert verdicts(look(10, a=(10, 0, 5)), joined, later) == [False, False, True]


def test_a_new_crawl_starts_anew():
    assert verdicts(look(10, a=(10, 0, 5)), look(13, crawl_id="b", a=(13, 0, 5))) == [False, False]


def test_only_running_crawls_finish():
    assert verdicts(*(look(now, state="finished", a=(now, 0, 5)) for now in (10, 13, 16))) == [False] * 3
