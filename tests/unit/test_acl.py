"""The crawler's ACL user in Redis may call what the sources call, and nothing else."""

import ast
import re
from pathlib import Path

import yaml
from redis.commands import CoreCommands

ROOT = Path(__file__).resolve().parents[2]
VARIABLES = yaml.safe_load((ROOT / "roles/redis/vars/main.yml").read_text(encoding="utf-8"))
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
