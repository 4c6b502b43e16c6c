"""One stand-in site in this process: signatures, parameters, faults, counters, settings."""

import json
import re
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clientapi import messages_pb2 as messages
from replica import cli
from replica import config as settings_of
from replica.app import Site
from replica.config import Config, ConfigError, Faults
from replica.faults import FaultPlan
from replica.forms import Protobuf, sign
from replica.world import ForumSettings

FORUMS = (ForumSettings("甲", 3, 6.0),)


def form(**parameters) -> bytes:
    fields = {name: str(value) for name, value in parameters.items()}
    return urlencode({**fields, "sign": sign(fields)}).encode()


async def ask(site, kind, client="192.0.2.1", **parameters):
    answer = await site.answer(kind, form(**parameters), client)
    return answer, json.loads(answer.body) if answer.content_type.startswith("application/json") else None


@pytest.fixture
def site() -> Site:
    return Site(Config(seed=3, forums=FORUMS))


def living(site):
    return next(
        thread
        for thread in site.world.forums[0].listed(site.world.forums[0].entries)
        if not thread.is_deleted
    )


def test_signature_is_the_client_apis():
    # An example whose signature is known from public client code.
    fields = {"_client_type": "2", "_client_version": "12.20.1.0", "kw": "聊天", "pn": "1", "rn": "30"}
    assert sign(fields) == "0fe2454e193c034f0243d57e87b2a425"
    assert sign({**fields, "sign": "is left out"}) == sign(fields)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"kw=%E7%94%B2&pn=1",
        b"kw=%E7%94%B2&pn=1&sign=",
        form(kw="甲", pn=1) + b"&rn=3",
        b"\xff\xfe&=&&",
        b"a=" * 900,
    ],
)
async def test_bad_or_missing_signature_is_refused(site, body):
    answer = await site.answer("forum", body, "")
    assert answer.status == 200
    assert json.loads(answer.body) == {"error_code": 110001, "error_msg": "未知错误"}
    assert answer.outcome == "bad_sign"


async def test_signature_in_capitals_is_accepted(site):
    fields = {"kw": "甲", "pn": "1"}
    body = urlencode({**fields, "sign": sign(fields).upper()}).encode()
    assert (await site.answer("forum", body, "")).outcome == "ok"


CONTENT_TYPE = b'multipart/form-data; boundary="-*_r1999"'
CALLS = {
    "forum": ("301001", messages.FrsPageReqIdl, messages.FrsPageResIdl),
    "thread": ("302001", messages.PbPageReqIdl, messages.PbPageResIdl),
    "comments": ("302002", messages.PbFloorReqIdl, messages.PbFloorResIdl),
}


def multipart(data: bytes) -> bytes:
    head = b'---*_r1999\r\nContent-Disposition: form-data; name="data"; filename="file"\r\n\r\n'
    return head + data + b"\r\n---*_r1999--\r\n"


async def ask_protobuf(site, kind, **parameters):
    command, request, response = CALLS[kind]
    data = request(data=parameters).SerializeToString()
    answer = await site.answer(kind, multipart(data), "", Protobuf(command, CONTENT_TYPE))
    return answer, response.FromString(answer.body)


def told(message, value) -> int:
    """Compare what a message tells with JSON; gives how many values that are."""
    count = 0
    for field, content in message.ListFields():
        pairs = [(content, value[field.name])]
        if isinstance(value[field.name], list):
            pairs = zip(content, value[field.name], strict=True)
        for item, other in pairs:
            if field.message_type is not None:
                count += told(item, other)
            else:
                assert item == other
                count += 1
    return count


async def test_both_forms_tell_the_same(site):
    thread = site.world.forums[0].thread(4)
    post_id = list(thread.floors_by_id)[1]
    for kind, parameters, least in (
        ("forum", {"kw": "甲", "pn": 2, "rn": 100}, 300),
        ("thread", {"kz": thread.thread_id, "pn": 1, "rn": 30, "with_floor": 1, "floor_rn": 10}, 100),
        ("comments", {"kz": thread.thread_id, "pid": post_id, "pn": 2}, 200),
    ):
        _, expected = await ask(site, kind, **parameters)
        answer, message = await ask_protobuf(site, kind, **parameters)
        assert answer.outcome == "ok"
        if kind != "comments":  # for authors without an id
            assert message.data.user_list.pop() == messages.User()
        assert told(message.data, expected) > least


@pytest.mark.parametrize(
    ("command", "content_type", "body", "error"),
    [
        ("302001", CONTENT_TYPE, multipart(b""), "参数错误: cmd=302001"),
        ("301001", b"multipart/form-data", multipart(b""), "参数错误: data"),
        ("301001", CONTENT_TYPE, b"", "参数错误: data"),
        ("301001", CONTENT_TYPE, multipart(b"\xff\x00garbage"), "参数错误: data"),
        (
            "301001",
            CONTENT_TYPE,
            multipart(messages.FrsPageReqIdl(data={"pn": -1}).SerializeToString()),
            "参数错误: pn=-1",
        ),
        ("301001", CONTENT_TYPE, multipart(b""), "您访问的贴吧不存在: "),
    ],
)
async def test_protobuf_that_is_not_understood_is_refused(site, command, content_type, body, error):
    answer = await site.answer("forum", body, "", Protobuf(command, content_type))
    assert messages.FrsPageResIdl.FromString(answer.body).error.errmsg == error


async def test_page_0_is_page_1(site):
    _, zero = await ask(site, "forum", kw="甲", pn=0)
    _, one = await ask(site, "forum", kw="甲", pn=1)
    _, none = await ask(site, "forum", kw="甲")
    assert zero == one == none
    assert one["page"]["current_page"] == 1


async def test_beyond_the_last_page_is_empty(site):
    thread = living(site)
    floor = next(floor for floor in thread.floors)
    for kind, parameters, key in (
        ("forum", {"kw": "甲"}, "thread_list"),
        ("thread", {"kz": thread.thread_id}, "post_list"),
        ("comments", {"kz": thread.thread_id, "pid": floor.post_id}, "subpost_list"),
    ):
        answer, body = await ask(site, kind, pn=9_999_999_999, **parameters)
        assert answer.outcome == "ok"
        assert body[key] == []
        assert not body["page"].get("has_more")


@pytest.mark.parametrize(
    ("kind", "parameters", "named"),
    [
        ("forum", {"kw": "甲", "pn": "abc"}, "pn=abc"),
        ("forum", {"kw": "甲", "pn": "-1"}, "pn=-1"),
        ("forum", {"kw": "甲", "pn": "9" * 5_000}, "pn=999"),
        ("forum", {"kw": "甲", "rn": "x"}, "rn=x"),
        ("thread", {"pn": "1"}, "kz="),
        ("thread", {"kz": "abc"}, "kz=abc"),
        ("thread", {"kz": "١٢"}, "kz="),
        ("comments", {"kz": "1"}, "pid="),
    ],
)
async def test_bad_parameters_are_answered_with_an_error(site, kind, parameters, named):
    answer, body = await ask(site, kind, **parameters)
    assert (answer.status, answer.outcome) == (200, "bad_parameter")
    assert body["error_code"] == 1
    assert named in body["error_msg"]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    kind=st.sampled_from(["forum", "thread", "comments"]),
    parameters=st.dictionaries(
        st.sampled_from(["kw", "kz", "pid", "pn", "rn", "with_floor", "floor_rn"]),
        st.one_of(st.integers(), st.text(st.characters(exclude_categories=["Cs"])), st.just("甲")),
    ),
)
async def test_no_parameters_break_it(site, kind, parameters):
    answer, body = await ask(site, kind, **parameters)
    assert answer.status == 200
    assert isinstance(body["error_code"], int)


async def test_unknown_forum_and_gone_threads(site):
    answer, body = await ask(site, "forum", kw="没有这个吧")
    assert (answer.outcome, body["error_code"]) == ("no_forum", 340001)
    assert "没有这个吧" in body["error_msg"]
    deleted = next(
        thread for thread in site.world.forums[0].listed(site.world.forums[0].entries) if thread.is_deleted
    )
    _, listed = await ask(site, "forum", kw="甲")
    assert deleted.thread_id in [row.get("id") for row in listed["thread_list"]]
    for thread_id in (deleted.thread_id, 1, 10**15):
        answer, body = await ask(site, "thread", kz=thread_id)
        assert answer.outcome == "deleted"
        assert body == {"error_code": 4, "error_msg": "贴子可能已被删除"}
    answer, _ = await ask(site, "comments", kz=living(site).thread_id, pid=5)
    assert answer.outcome == "deleted"


async def test_floors_come_without_comments_unless_asked(site):
    thread = site.world.forums[0].thread(4)  # its second floor has 75 comments
    _, plain = await ask(site, "thread", kz=thread.thread_id)
    _, two = await ask(site, "thread", kz=thread.thread_id, with_floor=1, floor_rn=2)
    _, full = await ask(site, "thread", kz=thread.thread_id, with_floor=1, floor_rn=99)
    assert plain["post_list"][1]["sub_post_number"] == 75
    assert "sub_post_list" not in plain["post_list"][1]
    assert len(two["post_list"][1]["sub_post_list"]["sub_post_list"]) == 2
    assert len(full["post_list"][1]["sub_post_list"]["sub_post_list"]) == 10
    assert full["post_list"][0]["sub_post_list"] == []
    assert two["thread"]["reply_num"] == thread.reply_count + 1


async def test_page_size_of_threads_is_kept_within_2_and_30(site):
    thread = site.world.forums[0].thread(5)  # long
    for asked, size in ((1, 2), (7, 7), (500, 30)):
        _, body = await ask(site, "thread", kz=thread.thread_id, rn=asked)
        assert body["page"]["page_size"] == size
        assert body["page"]["total_page"] == -(-len(thread.slots) // size)


async def test_counters(site):
    thread = living(site)
    await ask(site, "forum", kw="甲", pn=1)
    await ask(site, "forum", kw="甲", pn=0)  # the same page
    await ask(site, "forum", kw="甲", pn=2)
    await ask(site, "thread", kz=thread.thread_id)
    await ask(site, "thread", kz=1)
    await ask(site, "thread", kz=1)
    await site.answer("comments", b"", "")
    stats = site.stats()
    assert stats["answers"] == 7
    assert stats["repeats"] == 2
    assert stats["by_kind"] == {"forum": 3, "thread": 3, "comments": 1}
    assert stats["by_outcome"] == {"ok": 4, "deleted": 2, "bad_sign": 1}
    site.reset()
    assert site.stats()["answers"] == 0
    await ask(site, "forum", kw="甲", pn=1)
    assert site.stats()["repeats"] == 0


def faulty(**faults) -> Site:
    return Site(Config(seed=3, forums=FORUMS, faults=Faults(**faults)))


async def test_error_share_fails_the_first_attempt_only():
    site = faulty(error_share=1.0)
    first, _ = await ask(site, "forum", kw="甲")
    second, _ = await ask(site, "forum", kw="甲")
    assert (first.status, first.outcome) == (500, "server_error")
    assert second.outcome == "ok"
    assert site.stats()["repeats"] == 0


async def test_verification_page():
    answer, _ = await ask(faulty(verification_share=1.0), "forum", kw="甲")
    page = answer.body.decode()
    assert (answer.status, answer.outcome) == (403, "verification")
    assert "<title>百度安全验证</title>" in page
    assert "BIOC_OPTIONS" in page
    assert "seccaptcha.baidu.com" in page


def test_shares_are_chosen_by_seed_and_request():
    def hit(seed):
        plan = FaultPlan(Faults(error_share=0.1, verification_share=0.05), seed)
        return [answer and answer.outcome for answer in (plan.fault(f"thread {n}", 1) for n in range(4_000))]

    assert hit(1) == hit(1) != hit(2)
    assert 320 <= hit(1).count("server_error") <= 480
    assert 130 <= hit(1).count("verification") <= 250


def test_rate_limit_is_a_token_bucket_for_each_address_and_endpoint():
    plan = FaultPlan(Faults(threads_rate=2, burst=3), 1)
    refused = [plan.over_limit("forum", "a", 100.0) is not None for _ in range(5)]
    assert refused == [False, False, False, True, True]
    assert plan.over_limit("forum", "b", 100.0) is None
    assert plan.over_limit("thread", "a", 100.0) is None
    assert plan.over_limit("forum", "a", 100.4) is not None
    assert plan.over_limit("forum", "a", 100.6) is None
    assert [plan.over_limit("forum", "a", 1_000.0) is None for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("answer", "statuses"), [("429", [429, 429]), ("html", [200, 200]), ("mixed", [429, 200])]
)
async def test_rate_limit_answers(answer, statuses):
    site = faulty(threads_rate=0.001, burst=1, rate_limit_answer=answer)
    await ask(site, "forum", kw="甲")
    refused = [(await ask(site, "forum", kw="甲"))[0] for _ in range(2)]
    assert [item.status for item in refused] == statuses
    assert {item.outcome for item in refused} == {"rate_limited"}
    assert all(
        b"<title>\xe8\xb4\xb4\xe5\x90\xa7404</title>" in item.body for item in refused if item.status == 200
    )
    assert site.stats()["by_outcome"] == {"ok": 1, "rate_limited": 2}


def test_empty_configuration_is_the_default():
    assert settings_of.parse({}) == Config()


def test_configuration_is_read(tmp_path):
    path = tmp_path / "replica.json"
    path.write_text(
        '{"host": "127.0.0.1", "port": 1, "seed": 9, "latency_ms": 2, "forums": [{"name": "甲", "pages": 2}],'
        ' "faults": {"posts_rate": 2, "rate_limit_answer": "429"}}',
        encoding="utf-8",
    )
    assert settings_of.load(path) == Config(
        "127.0.0.1",
        1,
        9,
        2.0,
        (ForumSettings("甲", 2, 10.0),),
        Faults(posts_rate=2.0, rate_limit_answer="429"),
    )


@pytest.mark.parametrize(
    ("given_value", "message"),
    [
        ([], r"the configuration: \[\] is not an object"),
        ({"prot": 1}, r"key 'prot' is unknown; the keys are host, port"),
        ({"port": "8080"}, r"port: '8080' is not a whole number from 0 to 65535"),
        ({"port": True}, r"port: True is not"),
        ({"seed": -1}, r"seed: -1 is not"),
        ({"host": ""}, r"host: '' is not an address"),
        ({"latency_ms": "slow"}, r"latency_ms: 'slow' is not a number"),
        ({"latency_ms": float("nan")}, r"latency_ms: nan is not"),
        ({"forums": []}, r"forums: \[\] is not a list"),
        ({"forums": [{"pages": 1}]}, r"forums\[0\]\.name: None is not a name"),
        ({"forums": [{"name": "甲", "pages": 0}]}, r"forums\[0\]\.pages: 0 is not"),
        ({"forums": [{"name": "甲"}, {"name": "甲"}]}, r"forums\[1\]\.name: '甲' is there twice"),
        ({"forums": [{"name": "甲", "size": 3}]}, r"forums\[0\]: key 'size' is unknown"),
        ({"faults": {"error_share": 2}}, r"faults\.error_share: 2 is not a number from 0 to 1"),
        (
            {"faults": {"rate_limit_answer": 429}},
            r"faults\.rate_limit_answer: 429 is not one of 429, html, mixed",
        ),
        ({"faults": 3}, r"faults: 3 is not an object"),
    ],
)
def test_wrong_settings_are_named(given_value, message):
    with pytest.raises(ConfigError) as caught:
        settings_of.parse(given_value)
    assert re.search(message, str(caught.value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[1]", None])
def test_unusable_configuration_file_is_named(tmp_path, content):
    path = tmp_path / "replica.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(str(path))):
        settings_of.load(path)


def test_check_of_a_configuration_prints_nothing_and_serves_nothing(tmp_path, capsys):
    path = tmp_path / "replica.json"
    path.write_text('{"seed": 2}')
    assert cli.main(["serve", "--config", str(path), "--check"]) == 0
    assert capsys.readouterr() == ("", "")
    path.write_text('{"sead": 2}')
    assert cli.main(["serve", "--config", str(path), "--check"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tieba-replica: {path}: ")
    assert "key 'sead' is unknown" in line
