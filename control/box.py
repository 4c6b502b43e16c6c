"""A Vagrant box for libvirt, built from packages where no catalog of boxes can be reached.

Debian stands in for Ubuntu: a plain system, with what any box has (the user vagrant, everybody's key, which
Vagrant replaces at the first start).
"""

import hashlib
import json
import struct
import tarfile
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from control.process import run, sudo
from control.project import APT_MIRROR, CACHE

SUITE = "bookworm"
NAME = f"tieba/debian-{SUITE}"
_PACKAGES = [
    *("systemd", "systemd-sysv", "dbus", "udev", "kmod", "procps", "linux-image-cloud-amd64", "extlinux"),
    *("openssh-server", "sudo", "python3", "python3-apt", "ca-certificates", "libcurl4", "rsync"),
    *("iproute2", "ifupdown", "isc-dhcp-client", "netbase"),
]
_DISK_GB = 8  # what the machines see; the box holds only what is used
_SECTOR = 512
_START = 1048576  # bytes in front of the file system: where partitioning tools put the first one
# Everybody's, which comes with Vagrant; Vagrant puts another one in its place when a machine first starts.
_PUBLIC_KEY = Path("keys") / "vagrant.pub"

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
    metadata = {"provider": "libvirt", "format": "qcow2", "virtual_size": _DISK_GB}
    metadata_file = disk.with_name("metadata.json")
    metadata_file.write_text(json.dumps(metadata))
    partial = box.with_suffix(".part")
    # The image is compressed already.
    with tarfile.open(partial, "w") as tar:
        tar.add(metadata_file, metadata_file.name)
        tar.add(disk, "box.img")
    partial.replace(box)


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
    listed = run("dpkg", "--listfiles", "vagrant").stdout.split()
    return next(Path(name) for name in listed if Path(name).match(str(_PUBLIC_KEY)))
