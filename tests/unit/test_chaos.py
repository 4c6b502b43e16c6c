"""Chaos: which faults a seed gives, and what counts as a loss."""

import pytest

from control import chaos

LEASE = 30
STORES = ("mongodb", "mysql")


def found(true, stored, **counts):
    kinds = {kind: {"count": 0, "examples": []} for kind in ("missing", "unexpected", "doubled", "wrong")}
    for kind, count in counts.items():
        kinds[kind] = {"count": count, "examples": [{"post_id": 7}]}
    return {"true": true, "stored": stored, **kinds}


def report(state="finished", errors=(), **truth):
    return {
        "crawl": {"state": state},
        "errors": list(errors),
        "site": {"answers": 200, "repeats": 3},
        "truth": truth,
    }


def whole():
    return report(threads=found(10, 10), posts=found(90, 90))


def test_a_seed_gives_the_same_faults_again_and_another_gives_others():
    assert chaos.plan(7, 50, 3, LEASE, STORES) == chaos.plan(7, 50, 3, LEASE, STORES)
    assert chaos.plan(7, 50, 3, LEASE, STORES) != chaos.plan(8, 50, 3, LEASE, STORES)


@pytest.mark.parametrize("seed", range(20))
def test_every_kind_comes_and_every_target_exists(seed):
    kinds = chaos.plan(seed, len(chaos.KINDS), 2, LEASE, STORES)
    assert {fault.kind for fault in kinds} == chaos.KINDS.keys()
    for fault in chaos.plan(seed, 60, 2, LEASE, STORES):
        target = chaos.KINDS[fault.kind].target
        assert fault.node in ({"master"} if target == "master" else {"slave1", "slave2"})
        assert (fault.worker in {1, 2}) == (target == "worker")
        assert fault.seconds > LEASE or fault.kind != "worker_pause"


@pytest.mark.parametrize(
    ("stores", "servers"),
    [
        (["mongodb"], {"redis", "mongodb"}),
        (["mysql"], {"redis", "mariadb"}),
        (["jsonl"], {"redis"}),
        (["mongodb", "jsonl"], {"redis", "mongodb"}),
    ],
)
def test_only_servers_that_the_cluster_has_are_struck(stores, servers):
    struck = {fault.kind.split("_")[0] for fault in chaos.plan(1, 60, 2, LEASE, stores)}
    assert struck == servers | {"worker", "network", "slave"}


def test_more_faults_need_a_longer_crawl():
    short, long = (chaos.site_pages(chaos.plan(1, count, 2, LEASE, STORES)) for count in (8, 50))
    assert 0 < short < long


def test_a_whole_crawl():
    assert chaos.summarize([whole()], {"worker_kill": 2}, 7, 12.34) == {
        "expected": 100,
        "stored": 100,
        "lost": 0,
        "doubled": 0,
        "fetched_again": 3,
        "faults": {"worker_kill": 2},
        "seed": 7,
        "seconds": 12.3,
    }
    assert chaos.explain(whole()) == []


@pytest.mark.parametrize(
    ("difference", "counted_as"),
    [("missing", "lost"), ("wrong", "lost"), ("doubled", "doubled"), ("unexpected", "doubled")],
)
def test_every_difference_from_the_truth_is_counted_and_told(difference, counted_as):
    differing = report(threads=found(10, 10), posts=found(90, 90, **{difference: 2}))
    result = chaos.summarize([whole(), differing], {}, 7, 1)
    assert {"lost": result["lost"], "doubled": result["doubled"]} == {"lost": 0, "doubled": 0, counted_as: 2}
    assert chaos.explain(differing) == [f'{difference} posts: {{"post_id": 7}}']


def test_a_crawl_without_an_end_and_requests_given_up_are_told():
    error = {"request": ["posts", 1], "reason": "HTTP 500"}
    lines = chaos.explain(report(state="running", errors=[error]))
    assert lines == ["failed ['posts', 1]: HTTP 500", "the crawl is running, not finished"]
