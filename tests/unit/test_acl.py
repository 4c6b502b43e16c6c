"""The crawler's ACL user in Redis may do what the sources do, and nothing else."""

import ast
import hashlib
import re
from pathlib import Path

import jinja2
import pytest
import yaml
from redis.commands import CoreCommands

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles" / "redis"
VARIABLES = yaml.safe_load((ROLE / "vars/main.yml").read_text(encoding="utf-8"))
CLIENTS = {"redis", "_redis", "client", "pipeline", "server"}  # what the sources call a client of Redis
BY_ITSELF = {"PING", "SELECT"}  # what redis-py sends besides HELLO and AUTH
ELSEWHERE = {"HELLO", "SENTINEL"}  # everybody may say HELLO; sentinels have ACL users of their own
METHODS = set(dir(CoreCommands)) - {"execute_command"}
OTHER_NAMES = {"delete": "DEL"}


def scripted():
    for path in (ROOT / "crawler/frontier/lua").rglob("*.lua"):
        for first in re.findall(r"redis\.p?call\(([^,)]+)", path.read_text(encoding="utf-8")):
            names = re.findall(r"'(\w+)'", first)
            assert names, f"{path}: which command does {first} call?"
            yield from names


def called():
    paths = [*(ROOT / "crawler/frontier").glob("*.py"), *(ROOT / "crawler/tieba").rglob("*.py")]
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Attribute(value=ast.Name(id=of) | ast.Attribute(attr=of), attr=method):
                    if of in CLIENTS and method in METHODS:
                        yield OTHER_NAMES.get(method, method.replace("_", "|").upper())
                case ast.Call(
                    func=ast.Attribute(attr="execute_command"), args=[ast.Constant(value=text), *_]
                ):
                    yield text.split()[0]


def test_the_crawler_may_call_what_the_sources_call_and_nothing_else():
    allowed = {command.upper() for command in VARIABLES["__redis_crawler_commands"]}
    assert allowed == {*scripted(), *called(), *BY_ITSELF} - ELSEWHERE


@pytest.mark.parametrize(
    ("scheduler", "keys"),
    [
        (None, "~{work}:* ~work:start_urls"),
        ("frontier", "~{work}:* ~work:start_urls"),
        ("scrapy_redis", "~{work}:* ~work:start_urls ~work:requests ~work:dupefilter"),
    ],
)
def test_the_crawler_may_use_the_keys_of_its_job_alone(scheduler, keys):
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["hash"] = lambda text, name: hashlib.new(name, text.encode()).hexdigest()
    template = environment.from_string(
        (ROLE / "templates/etc/redis/users.acl.j2").read_text(encoding="utf-8")
    )
    users = template.render(
        VARIABLES,
        redis_crawler_prefix="work",
        redis_admin_password="a",
        redis_crawler_password="b",
        ansible_facts={"distribution_release": "bookworm"},
        **({"crawler_scheduler": scheduler} if scheduler else {}),
    )
    default, admin, crawler = users.splitlines()
    assert default.startswith("user default off ")
    assert admin.startswith("user admin on #")
    assert re.findall(r"~.+?(?= -@all)", crawler) == [keys]
    assert "+@" not in crawler
    assert ("+multi" in crawler) == (scheduler == "scrapy_redis")
