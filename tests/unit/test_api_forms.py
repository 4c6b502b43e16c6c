"""Both forms of the client API tell the same, on every page of a stand-in site."""

from collections import deque

from replica.app import Site
from replica.config import Config
from replica.forms import Protobuf, SignedJson
from replica.world import ForumSettings
from tieba.pages import CommentPage, Fetch, ForumPage, Outcome, Received, ThreadPage, follow_ups
from tieba.pages.client import ClientApi

KINDS = {ForumPage: "forum", ThreadPage: "thread", CommentPage: "comments"}


async def ask(site, api_format, fetch):
    api = ClientApi(api_format)
    call = api.build(fetch)
    path, _, command = call.path.partition("?cmd=")
    form = Protobuf(command, call.headers["Content-Type"].encode()) if command else SignedJson()
    answer = await site.answer(KINDS[type(fetch.target)], call.body, "192.0.2.1", form)
    return api.read(Received(answer.body, answer.status, f"http://tiebac{path}"), fetch.target)


async def test_both_forms_tell_the_same():
    site = Site(Config(seed=3, forums=(ForumSettings("甲", 3, 6.0),)))
    fetches, seen, outcomes = deque([Fetch(ForumPage("甲"))]), set(), set()
    while fetches:
        fetch = fetches.popleft()
        if fetch.target in seen:
            continue
        seen.add(fetch.target)
        answer = await ask(site, "json", fetch)
        assert await ask(site, "protobuf", fetch) == answer
        outcomes.add(answer.outcome)
        if answer.outcome is Outcome.OK:
            fetches.extend(follow_ups(fetch, answer, ClientApi()))
    assert {type(target) for target in seen} == set(KINDS)
    assert outcomes == {Outcome.OK, Outcome.DELETED}
