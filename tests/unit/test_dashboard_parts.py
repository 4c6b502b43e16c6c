"""The parts of the page that change by themselves, made of a status: what they say, in both languages."""

import asyncio
import copy
import html
import json
import re
import time
from types import SimpleNamespace

import pytest

from dashboard.facts import shown
from dashboard.live import PARTS, Fragments, Live, Snapshot, _event
from dashboard.metrics import render
from dashboard.pages import LANGUAGES, templates
from dashboard.views.overview import healthz
from tests.statuses import full_status
from tieba.errors import Away


def changed(**parts):
    status = copy.deepcopy(full_status())
    for name, value in parts.items():
        status[name] = {**status[name], **value} if isinstance(value, dict) else value
    return status


def text_of(status, name, language="en", **of_snapshot):
    snapshot = Snapshot(status, time.monotonic(), **of_snapshot)
    part = Fragments(language, shown(snapshot))[name]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", part)).split())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("status", [None, full_status()], ids=["nothing", "all"])
def test_every_part_can_be_shown(language, status):
    for names in PARTS.values():
        for name in names:
            text_of(status, name, language)


def test_it_says_whether_the_cluster_is_healthy():
    assert "Crawling, with" in text_of(full_status(), "progress")
    assert "Crawling, all is well" in text_of(changed(alarms=[]), "progress")
    slaves = [{**slave, "processes": 0} for slave in full_status()["slaves"]]
    deserted = changed(alarms=[], slaves=slaves)
    assert "No worker is at work" in text_of(deserted, "progress")
    assert shown(Snapshot(deserted))["level"] == "warn"
    deserted["crawl"]["seconds"] = 9.0  # workers have just been started
    assert shown(Snapshot(deserted))["level"] == "good"
    assert "No worker is at work" not in text_of(deserted, "progress")
    ended = {"state": "finished"}
    assert "3 requests were given up" in text_of(
        changed(alarms=[], crawl=ended, requests={"failed": 3}), "progress"
    )
    held = text_of(changed(alarms=[], crawl={"paused": {"at": 1.0, "reason": "<b>"}}), "progress")
    assert held.startswith("On hold")
    assert "<b>" in held


def test_the_crawl_that_has_just_ended_is_no_earlier_one():
    before = {"id": "b", "finished_at": 900.0, "pages": 12_345, "seconds": 30.0}
    now = {**before, "id": "a", "pages": 67_890}
    told = text_of(changed(crawl={"state": "finished"}, crawls=[now, before]), "crawls")
    assert "12,345" in told
    assert "67,890" not in told
    assert text_of(changed(crawls=[now]), "crawls") == "None yet."


def test_a_slave_left_behind_is_told_by_a_word():
    slaves = full_status()["slaves"]
    assert "0.1.0 · 3fa2c1 scrapy" in text_of(full_status(), "slaves")
    slaves[0] = {**slaves[0], "differs": True}
    assert "0.1.0 · 3fa2c1 ▲ differs from others" in text_of(changed(slaves=slaves), "slaves")
    assert "与其他不同" in text_of(changed(slaves=slaves), "slaves", "zh")


def test_the_bar_of_redis_turns_with_the_alarm():
    assert 'warn"' in Fragments("en", shown(Snapshot(full_status())))["machines"]
    assert 'warn"' not in Fragments("en", shown(Snapshot(changed(alarms=[]))))["machines"]


def test_without_redis_the_last_numbers_stay_and_tell_their_age():
    values = shown(Snapshot(full_status(), time.monotonic() - 75, "Redis does not answer"))
    parts = Fragments("en", values)
    assert "numbers of 1 min 15 s ago" in parts["state"]
    assert "Redis does not answer" in parts["alarms"]
    assert "No news from the cluster" in parts["progress"]


def test_without_the_store_its_last_counts_stay_and_tell_their_age():
    status = {**full_status(), "stored": {}, "store_problem": "MongoDB does not answer"}
    told = text_of(status, "progress", stored={"posts": 1234}, stored_at=time.monotonic() - 90)
    assert "numbers of 1 min 30 s ago" in told
    assert "1,234" in told


def test_alarms_are_worded_in_the_language():
    alarms = full_status()["alarms"]
    assert {"address_blocked", "disk_low", "redis_memory", "slave_silent"} <= {
        alarm["name"] for alarm in alarms
    }
    silent = {**full_status(), "alarms": [alarm for alarm in alarms if alarm["name"] == "slave_silent"]}
    assert "slave2: no worker was heard of for 15 min" in text_of(silent, "alarms")
    assert "slave2：已有 15 分钟 没有任何进程的消息" in text_of(silent, "alarms", "zh")
    shown_in_english = text_of(full_status(), "alarms")
    shown_in_chinese = text_of(full_status(), "alarms", "zh")
    for alarm in alarms:
        assert alarm["text"] in shown_in_english
        assert alarm["text"] not in shown_in_chinese
        assert json.loads(json.dumps(alarm["text"])) == alarm["text"]


def test_what_a_server_said_is_shown_as_it_is():
    assert "ERR 5 % of %(it)s" in text_of(full_status(), "alarms", "zh", problem="ERR 5 % of %(it)s")


def test_seeds_and_requests_are_worded_in_the_language():
    seeds = {"seeds": [{"forum": "猫", "pages": 2}, {"thread": 5}]}
    assert "猫 (2 pages) thread 5" in text_of(changed(crawl=seeds), "progress")
    assert "猫 (2 页) 贴子 5" in text_of(changed(crawl=seeds), "progress", "zh")
    words = templates("zh").filters["request"]
    assert words(["thread", 5, 2]) == "贴子 5，第 2 页"
    assert words("https://example.org/") == "https://example.org/"


def test_a_part_that_has_become_empty_is_told():
    # https://html.spec.whatwg.org/multipage/server-sent-events.html: without data there is no event.
    assert _event("alarms", "") == b"event: alarms\ndata: \n\n"
    assert _event("state", "a\nb") == b"event: state\ndata: a\ndata: b\n\n"


class Teller:
    """Gives what a test wants to be known."""

    def __init__(self, *told):
        self.told = list(told)

    async def status(self):
        found = self.told.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


async def test_what_is_known_outlasts_an_outage():
    seen = []

    async def look_at(alarms, _):
        seen.append([alarm["name"] for alarm in alarms])

    before = changed(alarms=[])
    live = Live(Teller(before, Away("Redis is away"), before), look_at)
    for _ in range(3):
        await live.refresh()
    assert seen == [[], ["redis_away"], []]
    assert live.snapshot.status is before


async def test_a_fault_of_the_page_is_not_told_as_redis_being_away(caplog):
    seen = []

    async def look_at(alarms, _):
        seen.append([alarm["name"] for alarm in alarms])

    live = Live(Teller(KeyError("posts"), Away("Redis is away")), look_at)
    page = SimpleNamespace(app=SimpleNamespace(state=SimpleNamespace(live=live)))
    assert b'"has_numbers":false' in (await healthz(page)).body  # before the first look
    await live.refresh()
    text = " ".join(re.sub(r"<[^>]*>", " ", live.fragments("en")["alarms"]).split())
    assert "Fault of the page the page cannot tell how the crawl goes: KeyError" in text
    assert "页面" in live.fragments("zh")["alarms"]
    snapshot = live.snapshot
    told = render(snapshot.status, snapshot.problem, is_fault=snapshot.is_fault).decode()
    assert "tieba_up 1.0" in told
    assert 'name="page_fault"' in told
    await live.refresh()
    assert seen == [["page_fault"], ["redis_away"]]
    assert "Cannot tell how the crawl goes" in caplog.text


async def test_a_status_that_cannot_be_shown_takes_no_place(caplog):
    seen = []

    async def look_at(alarms, _):
        seen.append([alarm["name"] for alarm in alarms])

    good, bad = changed(alarms=[]), changed(alarms=[], crawls=[{"id": "b", "seeds": None}])
    live = Live(Teller(good, bad, good), look_at)
    for _ in range(3):
        await live.refresh()
        assert live.snapshot.status is good
        assert "41" in live.fragments("en")["progress"]
    assert seen == [[], ["page_fault"], []]
    assert "Cannot tell how the crawl goes" in caplog.text


async def test_nothing_older_takes_the_place_of_what_is_newer():
    """One look begins before another, and would end after it."""
    first, second = changed(at=1.0), changed(at=2.0)
    is_slow = asyncio.Event()

    class Slow(Teller):
        async def status(self):
            found = await super().status()
            if found is first:
                await is_slow.wait()
            return found

    live = Live(Slow(first, second), lambda *_: asyncio.sleep(0))
    looks = [asyncio.create_task(live.refresh()) for _ in range(2)]
    await asyncio.sleep(0.01)
    is_slow.set()
    await asyncio.gather(*looks)
    assert live.snapshot.status is second


def test_alarms_are_announced_once_whatever_time_runs_on():
    alarms = full_status()["alarms"]
    later = [{**alarm, "text": f"{alarm['text']} and more", "since": 1.0} for alarm in alarms]
    said = text_of(full_status(), "announced")
    assert said == text_of({**full_status(), "alarms": later}, "announced")
    assert said != text_of({**full_status(), "alarms": alarms[1:]}, "announced")
    assert "Slave silent: slave2." in said


async def test_viewers_of_a_page_share_its_events():
    live = Live(Teller(full_status()), lambda *_: asyncio.sleep(0))
    await live.refresh()
    streams = [live.stream("overview", "en", lambda: True) for _ in range(3)]
    for stream in streams:
        await anext(stream)  # how soon to ask again
    news = [await anext(stream) for stream in streams]
    assert news[0].count(b"event: ") == len(PARTS["overview"])
    assert news[0] is news[1] is news[2]
    assert live.viewers == 3
    for stream in streams:
        await stream.aclose()
    assert live.viewers == 0
