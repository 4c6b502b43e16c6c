"""Vagrant boxes: of a provisioned slave; and of packages, where no catalog of boxes can be reached.

Both have the user vagrant with everybody's key, which Vagrant replaces when a machine first starts. In the
second, for libvirt alone, Debian stands in for Ubuntu.
"""

import hashlib
import json
import math
import os
import struct
import tarfile
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from control import environment
from control.process import ControlError, run, sudo
from control.project import APT_MIRROR, CACHE, ROOT, VENV
from control.terminal import Step

SUITE = "bookworm"
NAME = f"tieba/debian-{SUITE}"
SLAVE = "tieba/slave"
_PACKAGES = [
    *("systemd", "systemd-sysv", "dbus", "udev", "kmod", "procps", "linux-image-cloud-amd64", "extlinux"),
    *("openssh-server", "sudo", "python3", "python3-apt", "ca-certificates", "libcurl4", "rsync"),
    *("iproute2", "ifupdown", "isc-dhcp-client", "netbase"),
]
_DISK_GB = 8  # what the machines see; the box holds only what is used
_SECTOR = 512
_START = 1048576  # bytes in front of the file system: where partitioning tools put the first one
# Everybody's, which comes with Vagrant; Vagrant puts another one in its place when a machine first starts.
_PUBLIC_KEY = "keys/vagrant.pub"
_VAGRANT = ("/usr/share/rubygems-integration", "/opt/vagrant/embedded/gems")  # of Debian, of HashiCorp

_SETUP = """
set -eu
root=$1
chroot $root useradd --create-home --shell /bin/bash vagrant
echo 'vagrant ALL=(ALL) NOPASSWD: ALL' >$root/etc/sudoers.d/vagrant
install -d -m 700 $root/home/vagrant/.ssh
install -m 600 $2 $root/home/vagrant/.ssh/authorized_keys
chroot $root chown -R vagrant: /home/vagrant/.ssh
echo 'UseDNS no' >$root/etc/ssh/sshd_config.d/nodns.conf
echo 'LABEL=root / ext4 noatime,commit=60 0 1' >$root/etc/fstab
printf 'auto lo\\niface lo inet loopback\\nauto eth0\\niface eth0 inet dhcp\\n' >$root/etc/network/interfaces
echo debian >$root/etc/hostname
printf '127.0.0.1 localhost\\n127.0.1.1 debian\\n' >$root/etc/hosts
rm -f $root/etc/ssh/ssh_host_* $root/etc/machine-id
: >$root/etc/machine-id
# Each machine makes host keys of its own.
cat >$root/etc/systemd/system/ssh-host-keys.service <<'END'
[Unit]
Before=ssh.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key
[Install]
WantedBy=multi-user.target
END
chroot $root systemctl enable --quiet ssh-host-keys.service
# An emulated machine has no time for these.
chroot $root systemctl mask --quiet apt-daily.timer apt-daily-upgrade.timer e2scrub_reap.service fstrim.timer
mkdir -p $root/boot/extlinux
cat >$root/boot/extlinux/extlinux.conf <<'END'
default linux
label linux
  kernel /vmlinuz
  append initrd=/initrd.img root=LABEL=root ro console=ttyS0 net.ifnames=0 quiet mitigations=off no5lvl
END
extlinux --install $root/boot/extlinux
"""


def bake(slave: str, step: Step) -> str:
    """Make a box of a slave that Vagrant has made here, and have Vagrant know it; return its provider.

    The slave is halted, and is no machine of its own any more. Raises ControlError.
    """
    data = Path(os.environ.get("VAGRANT_DOTFILE_PATH") or ROOT / ".vagrant")
    made = [identity.parent for identity in data.glob(f"machines/{slave}/*/id") if identity.read_text()]
    if not made:
        raise ControlError(f"VM={slave}: Vagrant has not made it in this folder; see `vagrant status`")
    key = made[0] / "private_key"
    environment.ensure()
    step.now(f"taking from {slave} what makes it that machine")
    # Else what is made of the box would only know the key of this one.
    everybody = f"echo '{_public_key().read_text().strip()}' >>.ssh/authorized_keys"
    run("ssh", "-F", str(data / "ssh_config"), slave, everybody, timeout=60)
    playbook = [str(VENV / "bin" / "ansible-playbook"), "--inventory=inventory/vagrant", "playbooks/bake.yml"]
    run(*playbook, f"--extra-vars=bake_slave={slave}")
    run("vagrant", "halt", slave)
    step.now("packing its disk")
    folder = CACHE / "vms"
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as name:
        box = Path(name) / "slave.box"
        if made[0].name == "libvirt":
            _pack_domain(made[0], box)
        else:
            # Vagrant would put it into the box.
            key.unlink(missing_ok=True)
            run("vagrant", "package", slave, "--output", str(box))
        run("vagrant", "box", "add", "--force", "--name", SLAVE, str(box))
    return made[0].name


def build() -> Path:
    """Build the box, unless it is there, and return its path; needs root for the file system's owners."""
    recipe = hashlib.sha256(f"{_PACKAGES}{_SETUP}{_DISK_GB}{SUITE}".encode()).hexdigest()[:12]
    box = CACHE / "vms" / f"{SUITE}-{recipe}.box"
    if not box.exists():
        box.parent.mkdir(parents=True, exist_ok=True)
        for old in box.parent.glob(f"{SUITE}-*.box"):
            old.unlink()
        with TemporaryDirectory(dir=box.parent) as folder:
            pack(_disk(Path(folder)), box)
    return box


def pack(disk: Path, box: Path) -> None:
    """Make a box of a disk image in the format qcow2."""
    size = json.loads(run("qemu-img", "info", "--output=json", str(disk)).stdout)["virtual-size"]
    metadata = {"provider": "libvirt", "format": "qcow2", "virtual_size": math.ceil(size / (1 << 30))}
    metadata_file = disk.with_name("metadata.json")
    metadata_file.write_text(json.dumps(metadata))
    partial = box.with_suffix(".part")
    # The image is compressed already.
    with tarfile.open(partial, "w") as tar:
        tar.add(metadata_file, metadata_file.name)
        tar.add(disk, "box.img")
    partial.replace(box)


def _pack_domain(machine: Path, box: Path) -> None:
    """Make a box of the disk of a machine of libvirt's, which is halted."""
    virsh = ["virsh", "--quiet", "--connect", "qemu:///system"]
    listed = run(*virsh, "domblklist", (machine / "id").read_text().strip()).stdout
    source = listed.split(maxsplit=1)[1].splitlines()[0].strip()
    disk = box.with_name("disk.qcow2")
    run(*sudo(), "qemu-img", "convert", "-c", "-O", "qcow2", source, str(disk))
    run(*sudo(), "chown", str(os.getuid()), str(disk))
    pack(disk, box)


def _disk(folder: Path) -> Path:
    """Make the disk of a machine: one partition with a boot loader, in a sparse file on a loop device."""
    root, raw, disk = folder / "root.tar", folder / "disk.raw", folder / "disk.qcow2"
    mirror = [APT_MIRROR] if APT_MIRROR else []
    include = f"--include={','.join(_PACKAGES)}"
    options = ["--variant=minbase", "--format=tar", include]
    run(*sudo(), "mmdebstrap", *options, SUITE, str(root), *mirror, timeout=1200)
    with raw.open("wb") as file:
        file.truncate(_DISK_GB << 30)
        file.write(_boot_record())
    with ExitStack() as undo:
        loop = run(*sudo(), "losetup", "--find", "--show", f"--offset={_START}", str(raw)).stdout.strip()
        undo.callback(run, *sudo(), "losetup", "--detach", loop)
        # extlinux reads neither 64-bit block numbers nor checksums of metadata.
        run(*sudo(), "mkfs.ext4", "-q", "-L", "root", "-O", "^64bit,^metadata_csum", loop)
        mounted = folder / "root"
        mounted.mkdir()
        run(*sudo(), "mount", loop, str(mounted))
        undo.callback(run, *sudo(), "umount", str(mounted))
        run(*sudo(), "tar", "--extract", "--numeric-owner", f"--file={root}", f"--directory={mounted}")
        run(*sudo(), "sh", "-c", _SETUP, "setup", str(mounted), str(_public_key()))
    root.unlink()
    run("qemu-img", "convert", "-c", "-O", "qcow2", str(raw), str(disk), timeout=600)
    raw.unlink()
    return disk


def _boot_record() -> bytes:
    """Return the disk's first sector: the boot loader's beginning, and the table with the one partition."""
    code = Path("/usr/lib/EXTLINUX/mbr.bin").read_bytes().ljust(446, b"\0")
    # Bootable, in no cylinders, type Linux; its start and size in sectors.
    sectors = (_DISK_GB << 30) // _SECTOR
    start = _START // _SECTOR
    entry = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", start, sectors - start)
    return code + entry + bytes(48) + b"\x55\xaa"


def _public_key() -> Path:
    """Return where Vagrant has everybody's key; raises ControlError."""
    for folder in _VAGRANT:
        for path in Path(folder).glob(f"**/vagrant-[0-9]*/{_PUBLIC_KEY}"):
            return path
    raise ControlError(f"keys/vagrant.pub: not in {' or '.join(_VAGRANT)}; install Vagrant")
