"""Bundles for machines without internet: what is in them, what they lack, what is damaged."""

import re
import shutil
import subprocess
import tarfile

import pytest
import yaml

from control import bundle, bundling, debs, release
from control.bundle import Bundle
from control.process import ControlError
from control.project import ROOT

REQUIREMENTS = "0123456789ab"
NODE = {
    "host": "master",
    "release": "bookworm",
    "machine": "x86_64",
    "python": "3.11",
    "stores": ["mongodb", "mysql"],
    "trial": True,
}
SYSTEM = "bookworm-x86_64"


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Give a small bundle, made of files that say their own names."""
    folder = tmp_path / "bundle"
    part = bundle.control_part()
    names = [
        f"apt/{SYSTEM}/redis_7_amd64.deb",
        f"apt/{SYSTEM}/libc6_2+b1~x_amd64.deb",
        "apt/noble-x86_64/a.deb",
    ]
    for name in [*names, "wheels/a.whl", "mongod/x86_64/b.whl", f"{part}/c.whl"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    monkeypatch.setattr(release, "requirements", lambda: REQUIREMENTS)
    stores = {"mongodb": "trial", "mysql": "packages"}
    bundling._write_manifest(folder, {SYSTEM: {"stores": stores}, "noble-x86_64": {"stores": {}}})
    return folder


def errors(folder, **changes):
    return Bundle.open(str(folder)).errors([{**NODE, **changes}], REQUIREMENTS)


def test_a_whole_bundle_has_no_errors(made):
    assert errors(made) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"release": "jammy", "python": "3.10"},
            "nothing for jammy-x86_64 in it, only for bookworm-x86_64, noble-x86_64;",
        ),
        (
            {"machine": "aarch64"},
            "make bundle SYSTEMS=bookworm ARCH=arm64 STORAGE=mongodb,mysql (for master)",
        ),
        (
            {"release": "noble", "python": "3.12", "stores": ["mysql"]},
            "no mysql for noble-x86_64 in it; make bundle",
        ),
        ({"python": "3.12"}, "no wheels for Python 3.12 on bookworm-x86_64, only for 3.11"),
        ({"trial": False}, "use -e mongodb_trial_fallback_enabled=true"),
    ],
)
def test_what_a_bundle_lacks_is_one_line_with_a_way_out(made, changes, said):
    (error,) = errors(made, **changes)
    assert error.startswith("bundle: ")
    assert said in error
    assert "\n" not in error


def test_machines_that_lack_the_same_share_a_line(made):
    nodes = [{**NODE, "host": host, "release": "jammy", "stores": []} for host in ("slave1", "slave2")]
    (error,) = Bundle.open(str(made)).errors(nodes, REQUIREMENTS)
    assert error.endswith("(for slave1, slave2)")


def test_a_bundle_for_other_requirements_is_refused(made):
    (error,) = Bundle.open(str(made)).errors([NODE], "another")
    assert "make it again" in error


@pytest.mark.parametrize("name", [f"apt/{SYSTEM}/redis_7_amd64.deb", "wheels/a.whl", "mongod/x86_64/b.whl"])
def test_a_damaged_or_missing_file_is_named(made, name):
    text = (made / name).read_text()
    (made / name).write_text(text.swapcase())
    (error,) = errors(made)
    assert f"{made / name} is damaged" in error
    (made / name).unlink()
    (error,) = errors(made)
    assert f"{made / name} is missing" in error


def test_damage_of_what_no_machine_needs_is_no_matter(made):
    (made / "apt/noble-x86_64/a.deb").write_text("")
    assert errors(made) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "there is no manifest.json"),
        ("{", "manifest.json is damaged"),
        ("[]", "manifest.json is damaged"),
        ('{"version": 0}', "another version"),
    ],
)
def test_a_folder_that_is_no_bundle_is_named(tmp_path, text, said):
    if text:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ControlError, match=f"bundle {re.escape(str(tmp_path))}: .*{said}"):
        Bundle.open(str(tmp_path))


def test_packages_are_packed_once_and_alike(made, monkeypatch, tmp_path):
    monkeypatch.setattr(bundle, "CACHE", tmp_path / "cache")
    there = Bundle.open(str(made))
    names = ["redis_7_amd64.deb", "libc6_2+b1~x_amd64.deb"]
    packed = there.pack(SYSTEM, names)
    assert there.pack(SYSTEM, names[::-1]) == packed != there.pack(SYSTEM, names[:1])
    with tarfile.open(packed) as tar:
        assert tar.getnames() == sorted(names)
    with pytest.raises(ControlError, match="other_1_all"):
        there.pack(SYSTEM, ["other_1_all.deb"])
    (made / f"apt/{SYSTEM}/{names[0]}").write_text("")
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(ControlError, match=r"redis_7_amd64.deb is damaged"):
        there.pack(SYSTEM, names)


def test_the_control_side_of_another_python_is_refused(made):
    assert Bundle.open(str(made)).control_wheels() == made / bundle.control_part()
    (made / bundle.control_part() / "c.whl").write_text("")
    with pytest.raises(ControlError, match=r"c\.whl is damaged"):
        Bundle.open(str(made)).control_wheels()
    (made / bundle.control_part()).rename(made / "control" / "cp310-riscv64")
    with pytest.raises(ControlError, match="only for cp310-riscv64"):
        Bundle.open(str(made)).control_wheels()


def test_a_release_comes_out_of_a_bundle_or_not_at_all(made):
    with pytest.raises(ControlError, match=r"no wheels for Python 3\.10 on x86_64"):
        release._pinned("3.10", "x86_64", [], Bundle.open(str(made)))


@pytest.mark.parametrize(
    ("name", "value"),
    [("SYSTEMS", "focal"), ("SYSTEMS", "bookworm,buster"), ("ARCH", "x86_64"), ("STORAGE", "postgres")],
)
def test_a_wrong_word_is_named_with_those_that_are_known(name, value):
    words = {"SYSTEMS": "bookworm", "ARCH": "amd64", "STORAGE": "mysql", name: value}
    with pytest.raises(ControlError, match=f"{name}={value}: .*use one or several of"):
        bundling.Contents.from_environment(words)


def test_systems_and_architectures_are_combined():
    words = {"SYSTEMS": "noble,bookworm", "ARCH": "arm64 amd64", "STORAGE": "jsonl,mysql"}
    contents = bundling.Contents.from_environment(words)
    assert contents.systems == tuple(
        (name, machine) for name in ("bookworm", "noble") for machine in ("aarch64", "x86_64")
    )
    assert contents.stores == ("mysql", "jsonl")


def test_a_folder_that_is_no_bundle_is_not_replaced(tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(ControlError, match="is there, and is no bundle"):
        bundling.make(tmp_path, bundling.Contents((), ()))
    assert (tmp_path / "mine").exists()


def test_the_lists_of_packages_are_those_of_the_roles():
    """A package that a role installs and no bundle has would be missed where there is no internet."""
    lists = {}
    for file in ROOT.glob("roles/*/vars/main.yml"):
        variables = yaml.safe_load(file.read_text(encoding="utf-8"))
        lists.update({name: value for name, value in variables.items() if name.endswith("_packages")})
    assert {name: tuple(value) for name, value in lists.items()} == {
        "__base_packages": bundle.BASE_PACKAGES,
        "__firewall_packages": bundle.FIREWALL_PACKAGES,
        "__monitoring_packages": bundle.MONITORING_PACKAGES,
        "__redis_packages": bundle.REDIS_PACKAGES,
        "__mysql_packages": bundle.MYSQL_PACKAGES,
        "__mongodb_packages": bundle.MONGODB_PACKAGES,
        "__mongodb_trial_packages": bundle.TRIAL_PACKAGES,
    }


def test_packages_that_tasks_name_themselves_are_in_bundles():
    tasks = [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/**/*.yml")]
    tasks.remove(ROOT / "roles/mongodb/tasks/repository.yml")  # which asks mongodb.org: not where a bundle is
    named = {
        name
        for file in tasks
        for names in re.findall(r"__base_install: \[(.*)\]", file.read_text(encoding="utf-8"))
        for name in names.split(", ")
    }
    assert named == {*bundle.RECORDS_PACKAGES}


def test_mongodb_comes_from_where_its_role_has_it_from():
    defaults = yaml.safe_load((ROOT / "roles/mongodb/defaults/main.yml").read_text(encoding="utf-8"))
    assert defaults["mongodb_apt_key_url"] == bundling.MONGODB_KEY_URL
    assert defaults["mongodb_apt_mirror"] == bundling.MONGODB_ARCHIVE_URL


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="no dpkg-deb on this system")
def test_apt_takes_the_repository_as_it_is(tmp_path):
    """As nodes do: from the folder alone, dependencies too, whatever characters are in versions."""
    packages = {"one": ("1:2.0-1+deb~x", "two (= 3+b1)"), "two": ("3+b1", ""), "three": ("1", "nowhere")}
    files = {}
    for name, (version, depends) in packages.items():
        fields = [
            f"Package: {name}",
            f"Version: {version}",
            "Architecture: all",
            "Maintainer: x",
            "Description: x",
        ]
        control = tmp_path / name / "DEBIAN" / "control"
        control.parent.mkdir(parents=True)
        control.write_text("\n".join([*fields, *([f"Depends: {depends}"] if depends else [])]) + "\n")
        files[name] = tmp_path / f"{name}_{version.replace(':', '%3a')}_all.deb"
        subprocess.run(["dpkg-deb", "--build", tmp_path / name, files[name]], check=True, capture_output=True)
    debs._write_repository(tmp_path / "apt", files, "amd64")
    (tmp_path / "apt" / "lists" / "partial").mkdir(parents=True)
    for name in ("apt.conf", "sources.list"):
        text = (ROOT / "roles/base/files/opt/tieba/apt" / name).read_text()
        (tmp_path / "apt" / name).write_text(text.replace("/opt/tieba/apt", str(tmp_path / "apt")))

    def apt(*words):
        options = ["-qq", "-o", "Debug::NoLocking=true", "-o", "Dir::State::status=/dev/null"]
        command = ["apt-get", *options, "-o", "APT::Sandbox::User=", *words]
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "APT_CONFIG": str(tmp_path / "apt" / "apt.conf"),
        }
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    done = apt("update")
    assert (done.returncode, done.stderr) == (0, "")
    told = apt("--print-uris", "install", "one").stdout
    assert re.findall(r"'file:[^']*/([^'/]+)'", told) == ["two_3%2bb1_all.deb", "one_2.0-1%2bdeb%7ex_all.deb"]
    assert apt("--print-uris", "install", "three").returncode != 0
