"""The records of the store jsonl: every slave has its own, and a report needs all of them."""

import shutil

from control import ansible, cluster
from control.engine import docker
from control.process import apt_install
from control.project import CACHE, CLUSTER
from control.terminal import Step

_FOLDER = CACHE / "records" / CLUSTER
_ON_NODES = "/var/lib/tieba/records"


def gather(step: Step) -> None:
    """Bring the slaves' records onto the master, where `tieba report` then has them all."""
    apt_install("rsync")
    ansible.play(step, "playbooks/collect.yml", variables={"collect_dir": str(_FOLDER)})
    master = cluster.container("master")
    docker("exec", master, "install", "-d", "-m", "0750", "-o", "tieba", "-g", "tieba", _ON_NODES)
    docker("cp", f"{_FOLDER}/.", f"{master}:{_ON_NODES}")
    docker("exec", master, "chown", "-R", "tieba:tieba", _ON_NODES)


def forget() -> None:
    """Remove what was gathered, also by a run that was interrupted."""
    for folder in (_FOLDER, _FOLDER.with_name(f"{CLUSTER}.partial")):
        shutil.rmtree(folder, ignore_errors=True)
