"""The command line behind the Makefile: `python3 -m control --help`."""

import argparse
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

if sys.version_info < (3, 11):
    version = sys.version.split()[0]
    sys.exit(f"error: python3 is {version}: 3.11 or newer is needed; name one: make up PYTHON=python3.12")

from control import (
    backup,
    bake,
    box,
    bundle,
    bundling,
    chaos,
    cluster,
    dashboard,
    engine,
    environment,
    export,
    image,
    inventory,
    logs,
    mongod,
    release,
    settings,
    tests,
    up,
    vms,
)
from control.process import ControlError
from control.terminal import Step


def _up(_: argparse.Namespace) -> int:
    return up.up(up.Work.from_environment())


def _setup(_: argparse.Namespace) -> int:
    environment.ensure(bundle=bundle.given())
    return 0


def _bundle(_: argparse.Namespace) -> int:
    bundling.make(bundling.default_folder(), bundling.Contents.from_environment())
    return 0


def _bundle_errors(arguments: argparse.Namespace) -> int:
    there = bundle.Bundle.open(arguments.bundle)
    print(json.dumps(there.errors(json.loads(arguments.nodes), release.requirements())))
    return 0


def _bundle_pack(arguments: argparse.Namespace) -> int:
    print(bundle.Bundle.open(arguments.bundle).pack(arguments.system, arguments.files))
    return 0


def _scale(_: argparse.Namespace) -> int:
    wanted = os.environ.get("SLAVES", "")
    up.scale(up.whole_number("SLAVES", wanted, 1, 50))
    return 0


def _image(_: argparse.Namespace) -> int:
    if slave := os.environ.get("VM", ""):
        with Step("Box") as step:
            step.result = f"{box.SLAVE} for {box.bake(slave, step)}"
        print(f"Write slaves: {{box: {box.SLAVE}}} into vagrant/config.local.yml, then:")
        print(f"vagrant destroy --force {slave} && vagrant up")
        return 0
    with Step("Image") as step:
        step.result = f"{bake.TAG}, release {bake.make()}; `make scale` makes new slaves from it"
    return 0


def _down(_: argparse.Namespace) -> int:
    up.down()
    return 0


def _status(arguments: argparse.Namespace) -> int:
    options = [f"--{name}" for name in ("watch", "json") if getattr(arguments, name)]
    status = ("tieba", "status", *options)
    if os.environ.get("INVENTORY"):
        command = inventory.master().command(*status, tty=os.isatty(1))
    else:
        # The master, which is the first one; where it does not run, a slave says that Redis does not answer.
        command = cluster.ssh(cluster.running()[0], *status, tty=os.isatty(1))
    return subprocess.run(command, check=False).returncode


def _logs(_: argparse.Namespace) -> int:
    print("\n".join(logs.latest()))
    return 0


def _dashboard(_: argparse.Namespace) -> int:
    return dashboard.show()


def _ssh(arguments: argparse.Namespace) -> int:
    node = os.environ.get("NODE", "")
    if not node:
        raise ControlError("NODE: not given; for example make ssh NODE=slave1")
    command = cluster.ssh(node, *arguments.command)
    os.execvp(command[0], command)


def _export(_: argparse.Namespace) -> int:
    out = os.environ.get("OUT")
    return export.export(
        Path(out) if out else None,
        os.environ.get("FORMAT") or export.FORMATS[0],
        os.environ.get("FORUM", "").strip(),
        force=bool(os.environ.get("FORCE")),
    )


def _test(arguments: argparse.Namespace) -> int:
    stages: dict[str | None, Callable[[], None]] = {
        None: tests.everything,
        "lint": tests.lint,
        "unit": tests.unit,
        "browser": tests.browser,
        "containers": tests.containers,
        "operations": tests.operations,
        "offline": tests.offline,
    }
    stages[arguments.only]()
    return 0


def _test_vms(_: argparse.Namespace) -> int:
    vms.test(keep=bool(os.environ.get("KEEP")))
    return 0


def _chaos(arguments: argparse.Namespace) -> int:
    return chaos.chaos(
        up.whole_number("SEED", arguments.seed, 0, 2**32 - 1),
        up.whole_number("FAULTS", arguments.faults, 1, 1_000),
        up.whole_number("SLAVES", os.environ.get("SLAVES") or "2", 1, 50),
        up.whole_number("LEASE", arguments.lease, 1, 600),
    )


def _bench(arguments: argparse.Namespace) -> int:
    options = ["--quick"] if arguments.quick else []
    return tests.bench(arguments.bench, [*options, *(["--only", arguments.only] if arguments.only else [])])


def _nodes(arguments: argparse.Namespace) -> int:
    if arguments.action == "create":
        engine.ensure()
        image.ensure(print)
        made_for = settings.settle(settings.given(), None)
        print(" ".join(cluster.create(arguments.names, made_for)) or "nothing new")
    else:
        print(" ".join(cluster.destroy()) or "nothing to remove")
    return 0


def _release(arguments: argparse.Namespace) -> int:
    there = _opened(arguments.bundle)
    environment.ensure(bundle=there)
    extras = [extra for extra in release.EXTRAS if extra in arguments.extra]
    print(json.dumps(release.build(arguments.python, arguments.machine, extras, there)))
    return 0


def _mongod(arguments: argparse.Namespace) -> int:
    there = _opened(arguments.bundle)
    environment.ensure(bundle=there)
    print(json.dumps({"path": str(mongod.fetch(arguments.machine, there))}))
    return 0


def _opened(name: str) -> bundle.Bundle | None:
    return bundle.Bundle.open(name) if name else None


def _backup(arguments: argparse.Namespace) -> int:
    about = json.loads(arguments.about)
    folder = Path(arguments.folder)
    print(
        json.dumps(backup.seal(folder, about) if arguments.action == "seal" else backup.find(folder, about))
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m control", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run_it: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run_it)
        return added

    command("up", _up, "bring the cluster up and crawl (FORUM, PAGES, SLAVES, TARGET)")
    command("setup", _setup, "make the virtual environment, .venv")
    command("scale", _scale, "have SLAVES slaves while the crawl goes on")
    command("image", _image, "an image of a slave, from which new ones start (VM=slave2: a box)")
    command("down", _down, "remove what `up` made")
    status = command("status", _status, "how the crawl goes")
    status.add_argument("--watch", action="store_true", help="keep showing it until Ctrl-C")
    status.add_argument("--json", action="store_true", help="for programs")
    command("logs", _logs, "the services' latest log lines, of all nodes or of NODE, in the order of time")
    command("dashboard", _dashboard, "a tunnel to the master's web page (INVENTORY)")
    ssh = command("ssh", _ssh, "a shell on NODE, or one command: ssh -- COMMAND …")
    ssh.add_argument("command", nargs="*")
    command("export", _export, "what was crawled as a file (OUT, FORMAT, FORUM, FORCE)")
    test = command("test", _test, "all tests, or one stage of them")
    test.add_argument("--only", choices=["lint", "unit", "browser", "containers", "operations", "offline"])
    command(
        "test-vms",
        _test_vms,
        "vagrant up and a crawl on emulated machines (KEEP=1 keeps them after a fault)",
    )
    about = "crawl while workers, machines and servers fail, and compare what came of it with the truth"
    faults = command("chaos", _chaos, about)
    for name, default, text in (
        ("seed", str(secrets.randbelow(10**6)), "the same faults again"),
        ("faults", "50", "how many"),
        ("lease", "30", "seconds after which others get what a dead worker held"),
    ):
        value = os.environ.get(name.upper()) or default
        faults.add_argument(f"--{name}", default=value, help=f"{text} (default: {value})")
    for name, text in (
        ("engines", "one worker with Scrapy and one without"),
        ("frontier", "plain Scrapy, scrapy-redis and the frontier compared"),
        ("export", "a million posts out of MongoDB and MariaDB into Parquet"),
        ("pages", "web pages parsed with ours, lxml and parsel"),
        ("dashboard", "the web page with a large crawl and many viewers"),
        ("provision", "deployments of containers without a change, and of one more slave"),
    ):
        bench = command(f"bench-{name}", _bench, text)
        bench.set_defaults(bench=name, only=None)
        bench.add_argument("--quick", action="store_true", help="for trying, not for figures")
        if name == "frontier":
            bench.add_argument("--only", metavar="PART,…", help="see python -m bench.frontier --help")
    command("screenshots", lambda _: tests.screenshots(), "take the pictures of the web page for docs/images")
    nodes = command("nodes", _nodes, "make or remove containers alone; for Molecule")
    nodes.add_argument("action", choices=["create", "destroy"])
    nodes.add_argument("names", nargs="*", metavar="NAME", help="master, slave1, …, site")
    build = command("wheelhouse", _release, "make the release that nodes install; for Ansible")
    build.add_argument("--python", required=True, metavar="3.11")
    build.add_argument("--machine", required=True, metavar="x86_64")
    build.add_argument("--extra", action="append", choices=release.EXTRAS, default=[], help="several times")
    build.add_argument("--json", action="store_true", help="accepted for clarity: the answer is JSON")
    build.add_argument("--bundle", default="", metavar="FOLDER", help="the wheels come out of it")
    copies = command("backup", _backup, "describe a backup, or find and check one; for Ansible")
    copies.add_argument("action", choices=["seal", "find"])
    copies.add_argument("folder", metavar="FOLDER")
    copies.add_argument("--about", required=True, metavar="JSON", help="what it is of, or must be of")
    trial = command("mongod", _mongod, "fetch a MongoDB server for trials; for Ansible")
    trial.add_argument("--machine", required=True, metavar="x86_64")
    trial.add_argument("--json", action="store_true", help="accepted for clarity: the answer is JSON")
    trial.add_argument("--bundle", default="", metavar="FOLDER", help="it comes out of it")
    command(
        "bundle", _bundle, "a folder with all that machines without internet need (BUNDLE, SYSTEMS, ARCH)"
    )
    errors = command("bundle-errors", _bundle_errors, "what a bundle lacks for machines; for Ansible")
    errors.add_argument("bundle", metavar="FOLDER")
    errors.add_argument("nodes", help="JSON; see control/bundle.py")
    pack = command("bundle-pack", _bundle_pack, "an archive with some of a bundle's packages; for Ansible")
    pack.add_argument("bundle", metavar="FOLDER")
    pack.add_argument("system", metavar="bookworm-x86_64")
    pack.add_argument("files", nargs="*", metavar="NAME.deb")
    return parser


def main() -> int:
    """Run one command; what the user can mend becomes one line and exit status 1."""
    arguments = _parser().parse_args()
    try:
        status: int = arguments.run(arguments)
    except ControlError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on where it was", file=sys.stderr)
        return 130
    return status


sys.exit(main())
