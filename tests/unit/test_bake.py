"""Images of slaves: nothing of the slave that they were made of, and all that a new one needs."""

import io
import tarfile

from control import bake

KEPT = {
    "etc/ssh/sshd_config": b"UsePAM yes",
    "etc/machine-id": b"0123456789abcdef\n",
    "etc/tieba": None,
    "opt/tieba/releases/r1/bin/python": b"python",
    "opt/tieba/packages": b"ca-certificates\n",
    "etc/systemd/system/tieba-crawler.target": b"[Unit]",
    "var/lib/tieba": None,
}
GONE = {
    "etc/ssh/ssh_host_ed25519_key": b"a secret",
    "etc/systemd/system/multi-user.target.wants/tieba-crawler.target": b"",
    "etc/tieba/crawler.json": b"a secret",
    "home/admin/.ssh/authorized_keys": b"a key",
    "home/admin/.ansible/tmp/x": b"a secret",
    "var/lib/tieba/records/posts.jsonl": b"{}",
    "var/log/journal/0123/system.journal": b"a secret",
    "tmp/.hidden/file": b"",
}


def archive(files):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w|") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            member.size, member.mode, member.uid = len(content or b""), 0o640, 998
            tar.addfile(member, io.BytesIO(content or b""))
    return io.BytesIO(target.getvalue())


def test_an_image_has_what_a_slave_needs_and_nothing_that_makes_it_that_slave():
    image = io.BytesIO()
    bake.forget(archive({**KEPT, **GONE}), image, bake.patterns())
    assert b"secret" not in image.getvalue()
    image.seek(0)
    with tarfile.open(fileobj=image) as tar:
        assert tar.getnames() == list(KEPT)
        python = tar.getmember("opt/tieba/releases/r1/bin/python")
        assert (tar.extractfile(python).read(), python.mode, python.uid) == (b"python", 0o640, 998)
        # Of no file, systemd would conclude that the machine has never started, and reset its units.
        assert tar.getmember("etc/machine-id").size == 0
