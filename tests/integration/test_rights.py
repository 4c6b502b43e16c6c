"""The crawler works with the rights that role redis gives it, on the Redis of every supported system."""

import contextlib
import hashlib
import itertools

import jinja2
import pytest
import yaml
from redis.exceptions import NoPermissionError, ResponseError

from frontier import Frontier, Request, connect
from frontier.job import Job
from tests.conftest import ROOT

ROLE = ROOT / "roles" / "redis"
SYSTEMS = {"jammy": "redis-6.0", "bookworm": "redis-7.0", "trixie": "redis-8.0"}


@pytest.fixture(params=SYSTEMS)
def start(request, start_redis, tmp_path):
    """Start Redis with the role's ACL file; gives clients of the crawler and of the administrator."""

    def start(scheduler="frontier"):
        environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined)
        environment.filters["hash"] = lambda text, name: hashlib.new(name, text.encode()).hexdigest()
        environment.filters["combine"] = lambda one, other: {**one, **other}
        environment.filters["bool"] = bool
        environment.filters["product"] = itertools.product
        template = (ROLE / "templates/etc/redis/users.acl.j2").read_text(encoding="utf-8")
        users = environment.from_string(template).render(
            yaml.safe_load((ROLE / "vars/main.yml").read_text(encoding="utf-8")),
            ansible_facts={"distribution_release": request.param},
            redis_crawler_prefix="work",
            redis_admin_password="a",
            redis_crawler_password="c",
            redis_dashboard_password="d",
            crawler_scheduler=scheduler,
        )
        file = tmp_path / "users.acl"
        file.write_text(users, encoding="utf-8")
        server = start_redis(SYSTEMS[request.param], f"aclfile {file}")
        return connect(server.url.replace("//", "//crawler:c@")), server.client(
            username="admin", password="a"
        )

    return start


async def test_the_frontier_needs_no_more_rights_than_it_has(start):
    redis, admin = start()
    async with contextlib.aclosing(redis):
        frontier = Frontier(redis, "work")
        job = Job(frontier)
        await job.push_seed("{}")
        await job.push_seed("{}")
        await frontier.begin()
        await frontier.set_max_requests(1_000)
        await job.note_seed("{}")
        # So many that shards of the seen set are split.
        await frontier.push([Request("pages", str(number), fingerprint=number) for number in range(500)])
        leases = [lease.id for lease in (await frontier.lease(5, "me")).leases]
        assert await frontier.renew("me", leases) == set(leases)
        follow_up = Request("images", "x", fingerprint=1000)
        assert await frontier.complete("me", [(leases[0], [follow_up])]) == {leases[0]}
        assert await frontier.release("me", [leases[1]]) == 1
        assert await frontier.fail("me", leases[2], "again") == "delayed"
        assert await frontier.fail("me", leases[3], "never", is_final=True) == "dead"
        assert await frontier.reap() == 0
        assert (await frontier.pause("pages:default", 1, "busy"))[1]
        assert await frontier.resume("pages:default")
        assert await frontier.peek()
        assert await frontier.forget(1000) == 1
        await job.bury("pages", "x", "no request")
        disk = {"host": "here", "disk_free_mb": 5_000, "disk_path": "/srv"}
        await job.beat("me", disk, crawl_id="", counted_as="here", outcomes={})
        await job.leave("me")
        facts = await job.facts()
        assert (facts.waiting_seeds, facts.requests.delayed, facts.requests.dead) == (1, 1, 2)
        assert (await redis.info())["maxmemory"] >= 0
        assert await frontier.retry_dead() == 2
        assert await frontier.empty() == 1
        await frontier.drop_job()
        refused = [
            entry for entry in admin.acl_log() if entry["object"] != "client"
        ]  # its name, to Redis 6.0
        assert refused == []


async def test_the_dashboard_needs_the_rights_that_it_has(start):
    crawler, admin = start()
    variables = yaml.safe_load((ROLE / "vars/main.yml").read_text(encoding="utf-8"))
    allowed = variables["__redis_dashboard_commands"]
    port = admin.connection_pool.connection_kwargs["port"]
    async with (
        contextlib.aclosing(crawler),
        contextlib.aclosing(connect(f"redis://dashboard:d@127.0.0.1:{port}")) as redis,
    ):
        workers = Frontier(crawler, "work")
        await workers.begin()
        await workers.push([Request("pages", str(number), fingerprint=number) for number in range(9)])
        leases = (await workers.lease(4, "me")).leases
        await workers.pause("pages:default", 60, "busy")
        assert await workers.fail("me", leases[0].id, "again") == "delayed"
        for lease in leases[1:3]:
            assert await workers.fail("me", lease.id, "never", is_final=True) == "dead"
        await crawler.rpush("{work}:queue:pages:0", "a stranger's")
        await Job(workers).keep_sample("1.http", {"status": 200})
        await Job(workers).note_crawl({"id": "before", "finished_at": 1.0})
        admin.config_resetstat()

        frontier = Frontier(redis, "work")
        job = Job(frontier)
        await redis.ping()
        await job.tell_machine("master", 5_000, "/var/lib/tieba")
        facts = await job.facts()
        assert (facts.requests.leased, len(facts.letters), len(facts.crawls)) == (1, 2, 1)
        assert facts.machines["master:/var/lib/tieba"]["disk_free_mb"] == 5_000
        assert (await redis.info())["maxmemory"] >= 0
        assert len(await frontier.queue("pages", 0)) == 6
        assert len((await frontier.leases())[1]) == 1
        assert len(await frontier.delayed()) == 1
        (newest, oldest) = await frontier.dead_page()
        assert await frontier.letter(oldest.id) == oldest
        assert await job.sample("1.http") == {"status": 200}
        assert await frontier.known(0, 99) == {0}
        assert await frontier.hold("later")
        assert await frontier.let_go()
        assert await frontier.retry([newest.id]) == 1
        assert await frontier.retry_dead() == 1
        assert await frontier.reprioritize("pages", 0, 3) == 8
        called = {name.partition("|")[0].removeprefix("cmdstat_") for name in admin.info("commandstats")}
        by_itself = {"hello", "client", "acl", "config", "auth"}
        assert called - by_itself == set(allowed) - {"select"}  # this is the first database
        for script in (
            "flushall",
            "config get maxmemory",
            "keys *",
            "set work:requests x",
            "del {work}:crawl",
        ):
            with pytest.raises(NoPermissionError):
                await redis.execute_command(*script.split())


@pytest.mark.parametrize(("scheduler", "is_allowed"), [("frontier", False), ("scrapy_redis", True)])
async def test_the_keys_of_scrapy_redis_are_the_crawlers_with_its_scheduler_alone(
    start, scheduler, is_allowed
):
    redis, _ = start(scheduler)
    async with contextlib.aclosing(redis):
        for key in ("work:requests", "work:dupefilter"):
            with contextlib.nullcontext() if is_allowed else pytest.raises(NoPermissionError):
                await redis.sadd(key, "x")
        with pytest.raises(NoPermissionError):
            await redis.sadd("works:start_urls", "x")


async def test_the_dashboard_only_reads_what_it_does_not_change(start, request):
    if request.node.callspec.params["start"] == "jammy":
        pytest.skip("its Redis does not tell reading from writing")
    crawler, admin = start()
    port = admin.connection_pool.connection_kwargs["port"]
    async with (
        contextlib.aclosing(crawler),
        contextlib.aclosing(connect(f"redis://dashboard:d@127.0.0.1:{port}")) as redis,
    ):
        assert await redis.llen("work:start_urls") == 0
        for command in (
            "RPUSH work:start_urls x",
            "HDEL {work}:workers x",
            "HSET {work}:leases x y",
            "RPUSH {work}:history x",
        ):
            with pytest.raises(NoPermissionError):
                await redis.execute_command(*command.split())
            words = ", ".join(f"'{word}'" for word in command.split())
            with pytest.raises(ResponseError, match=r"can't access|No permissions"):
                await redis.eval(f"return redis.call({words})", 0)
