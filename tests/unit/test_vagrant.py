"""What stands before `vagrant up`: its settings, the checks, the order; and the inventory of its machines.

The Ruby parts run in plain Ruby, without Vagrant.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "vagrant" / "config.yml"
needs_ruby = pytest.mark.skipif(not shutil.which("ruby"), reason="no ruby; `make test` installs it")
INTERFACE = "Tieba::Checks::Interface.new({name!r}, {address!r}, IPAddr.new({network!r}))"


@pytest.fixture
def folder(tmp_path):
    """Return a project's folder, with its settings."""
    (tmp_path / "vagrant").mkdir()
    shutil.copy(CONFIG, tmp_path / "vagrant")
    return tmp_path


@pytest.fixture
def local(folder):
    """Write the local settings."""
    return lambda text: (folder / "vagrant" / "config.local.yml").write_text(text, encoding="utf-8")


@pytest.fixture
def ruby(folder):
    """Run Ruby with `settings`, `before` ahead of the plugin; return what it gives, or the error's line."""

    def run(expression, before=""):
        program = f"""
            require "json"
            require "{ROOT}/tests/vagrant"
            {before}
            %w[settings checks plan plugin].each {{ |name| require "{ROOT}/vagrant/#{{name}}" }}
            begin
              settings = Tieba::Settings.load("{folder}")
              puts JSON.generate([{expression}])
            rescue Tieba::Error => e
              puts JSON.generate([e.message])
            end
        """
        done = subprocess.run(["ruby", "-W", "-e", program], capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return json.loads(done.stdout)[0]

    return run


MACHINES = "settings.machines.to_h { |machine| [machine.name, machine.address] }"


@needs_ruby
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "slaves: {count: 0}",
            "config.local.yml: slaves.count is 0: it must be a whole number from 1 to",
        ),
        ("slaves: {count: two}", 'slaves.count is "two"'),
        ("slaves: {count: }", "slaves.count is null: it must be a whole number"),
        # Preflight would refuse it, after the machines are made.
        ("slaves: {memory: 512}", "slaves.memory is 512: it must be a whole number from 1024 to"),
        ("slaves: 3", "slaves is 3: it must be settings with names: box, count, first_address"),
        ("slave: {count: 3}", "slave: there is no such setting; did you mean slaves?"),
        ("slaves: {cuonts: 3}", "slaves.cuonts: there is no such setting; did you mean count?"),
        ("colour: red", "colour: there is no such setting; known are box, box_version, master"),
        ("master: {memory: 2G}", 'master.memory is "2G": it must be a whole number from 1024 to'),
        ("master: {address: 192.168.56.300}", "it must be an IPv4 address, such as 192.168.56.10"),
        ("slaves: {first_address: 192.168.56.9}", "slave2 gets the address 192.168.56.10, as master does"),
        (
            "slaves: {first_address: 10.0.0.11}",
            "slave1 gets the address 10.0.0.11, which is not in",
        ),
        (
            "slaves: {first_address: 192.168.56.254}",
            "slave2 gets the address 192.168.56.255: the ends",
        ),
        (
            "master: {address: 255.255.255.9}\nslaves: {first_address: 255.255.255.254, count: 3}",
            "slave2 gets the address 255.255.255.255: the ends",
        ),
        (
            "master: {address: 255.255.255.254}\nslaves: {first_address: 255.255.255.253, count: 5}",
            "slave2 gets the address 255.255.255.254, as master does",
        ),
        ("box_version: 2026-01-31", "box_version is 2026-01-31: it must be a version"),
        ("master: {address: 192.168.56.1}", "master gets the address 192.168.56.1: the ends .0, .1 and"),
        ("box: {vmware: x}", "it must be the name of a box, or one for each of virtualbox, libvirt"),
        ("libvirt_driver: tcg", 'libvirt_driver is "tcg": it must be kvm or qemu'),
        ("variables: [1]", "variables is [1]: it must be a dictionary of Ansible's variables"),
        ("- a list", 'config.local.yml: it holds ["a list"], not settings with names'),
        ("master: {", "config.local.yml: not YAML:"),
    ],
)
def test_a_wrong_setting_gets_one_line(local, ruby, text, words):
    local(text)
    line = ruby("settings.names")
    assert words in line
    assert "\n" not in line


@needs_ruby
def test_variables_are_what_yaml_allows(local, ruby):
    local("variables: {crawler_seeds: &seeds [{forum: 聊天, since: 2026-01-31}], mine: *seeds}")
    assert ruby("settings.names") == ["master", "slave1", "slave2"]


@needs_ruby
def test_a_missing_setting_gets_one_line(folder, ruby):
    (folder / "vagrant" / "config.yml").write_text("box: x\n")
    assert "vagrant/config.yml: box_version is missing" in ruby("settings.names")


@needs_ruby
def test_a_box_for_all_providers_or_for_each(local, ruby):
    assert ruby('settings.box("slave1", :libvirt)') == yaml.safe_load(CONFIG.read_text())["box"]["libvirt"]
    local("box: mine")
    assert ruby('[settings.box("master", :libvirt), settings.box("slave1", :virtualbox)]') == ["mine", "mine"]
    local("slaves: {box: baked}\nbox_version: 7")
    usual = yaml.safe_load(CONFIG.read_text())["box"]
    boxes = "%w[master slave1].product(%w[virtualbox libvirt])"
    boxes += ".map { |both| [settings.box(*both), settings.box_version(*both)] }"
    master = [[usual["virtualbox"], "7"], [usual["libvirt"], "7"]]
    assert ruby(boxes) == [*master, ["baked", None], ["baked", None]]
    # Made on one provider, it is none for the other.
    local("slaves: {box: {libvirt: baked}}\nbox_version: 7")
    assert ruby(boxes) == [*master, [usual["virtualbox"], "7"], ["baked", None]]


@needs_ruby
@pytest.mark.parametrize(
    ("name", "address", "network", "words"),
    [
        ("eth0", "192.168.56.7", "192.168.56.0/24", "eth0 of this computer has 192.168.56.7 in"),
        ("wlan0", "192.168.1.7", "192.168.0.0/16", "wlan0 of this computer has 192.168.1.7 in"),
        ("tun0", None, "192.168.56.128/25", "tun0 of this computer has a route in 192.168.56.128/25"),
        ("vboxnet0", "192.168.56.1", "192.168.56.0/24", None),
        ("eth0", "192.168.57.7", "192.168.57.0/24", None),
        # Another's, although it has the address that the provider's would have.
        ("eth0", "192.168.56.1", "192.168.56.0/24", "eth0 of this computer has 192.168.56.1 in"),
        ("virbr1", "192.168.56.1", "192.168.56.0/24", "virbr1 of this computer has 192.168.56.1 in"),
    ],
)
def test_a_network_that_is_somebody_elses(ruby, name, address, network, words):
    line = ruby(_network(_interface(name, address, network), "virtualbox", names_tell=True))
    assert line is None if words is None else words in line


@needs_ruby
@pytest.mark.parametrize(
    ("provider", "name", "names_tell", "is_its"),
    [
        ("virtualbox", "vboxnet0", True, True),
        ("virtualbox", "virbr1", True, False),
        ("libvirt", "virbr1", True, True),
        ("libvirt", "vboxnet0", True, False),
        ("virtualbox", "br-0815", True, False),
        # On Windows and macOS.
        ("virtualbox", "ethernet_32774", False, True),
        ("virtualbox", "bridge100", False, True),
        ("hyperv", "ethernet_32774", False, True),
        ("hyperv", "eth0", True, False),
    ],
)
def test_which_network_is_the_providers(ruby, provider, name, names_tell, is_its):
    known = _interface(name, "192.168.56.1", "192.168.56.0/24")
    assert (ruby(_network(known, provider, names_tell=names_tell)) is None) == is_its


@needs_ruby
@pytest.mark.parametrize(
    ("running", "has_network", "words"),
    [
        ([], True, "slave1 gets the address 192.168.56.11, but another machine has it"),
        (["slave1"], True, None),
        # Where its network is not there, whoever answers is somewhere else, and must not even be asked.
        ([], False, None),
    ],
)
@pytest.mark.parametrize(("name", "names_tell"), [("virbr1", True), ("ethernet_32774", False)])
def test_an_address_in_use(ruby, running, has_network, words, name, names_tell):
    known = _interface(name, "192.168.56.1", "192.168.56.0/24") if has_network else ""
    others = f'interfaces: [{known}], answers: ->(address) {{ address == "192.168.56.11" }}'
    others += f", names_tell: {json.dumps(names_tell)}"
    line = ruby(f"Tieba::Checks.addresses(settings, :libvirt, {running}, {others}) && nil")
    assert line is None if words is None else words in line


def _network(interface, provider, *, names_tell):
    others = f"interfaces: [{interface}], routes: [], names_tell: {json.dumps(names_tell)}"
    return f"Tieba::Checks.network(settings, :{provider}, {others})"


def _interface(name, address, network):
    return INTERFACE.format(name=name, address=address, network=network).replace("None", "nil")


@needs_ruby
@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        (None, True),
        ("* 10.0.0.0/8\n", False),
        ("# none\n", False),
        ("* 10.0.0.0/8 # ours\n", False),
        ("* 10.0.0.0/8 192.168.0.0/16\n* 2001::/64\n", True),
        ("*\n", True),
    ],
)
def test_the_range_that_virtualbox_allows(ruby, text, allowed):
    line = ruby(f"Tieba::Checks.virtualbox_range(settings, {json.dumps(text).replace('null', 'nil')})")
    if allowed:
        assert line is None
    else:
        words = {
            "* 10.0.0.0/8\n": "VirtualBox allows only 10.0.0.0/8: choose others",
            "# none\n": "VirtualBox allows none: choose others",
            "* 10.0.0.0/8 # ours\n": "/etc/vbox/networks.conf: # is no range of addresses, such as",
        }
        assert words[text] in line


@needs_ruby
def test_without_a_file_virtualbox_allows_few_addresses(local, ruby):
    local("master: {address: 10.1.1.10}\nslaves: {first_address: 10.1.1.11}")
    assert "VirtualBox allows only 192.168.56.0/21" in ruby("Tieba::Checks.virtualbox_range(settings, nil)")


@needs_ruby
@pytest.mark.parametrize(
    ("provider", "first", "clashes"),
    [
        ("virtualbox", "10.0.2", True),
        ("libvirt", "10.0.2", False),
        ("libvirt", "192.168.121", True),
        ("hyperv", "10.0.2", False),
    ],
)
def test_the_network_that_the_provider_uses_itself(local, ruby, provider, first, clashes):
    local(f"master: {{address: {first}.10}}\nslaves: {{first_address: {first}.11}}")
    line = ruby(f"Tieba::Checks.provider_network(settings, :{provider})")
    assert (line or "").startswith(f"{first}.0/24, the machines' network: {provider} itself uses") == clashes


@needs_ruby
def test_a_slave_that_the_settings_no_longer_know_is_not_forgotten(local, ruby):
    assert ruby('Tieba::Checks.forgotten(settings, ["master", "slave2"])') is None
    local("slaves: {count: 1}")
    line = ruby('Tieba::Checks.forgotten(settings, ["master", "slave1", "slave2"])')
    assert line.startswith("slave2 is still there, but slaves.count is 1: raise it in")


@needs_ruby
def test_the_key_that_a_box_brought_along_is_put_where_ansible_looks_for_it(folder, ruby):
    (folder / "vagrant_private_key").write_text("the box's")
    program = """begin
        require "pathname"
        used = {private_key_path: ["FOLDER/vagrant_private_key"]}
        machine = Struct.new(:data_dir, :ssh_info).new(Pathname.new("FOLDER"), used)
        Tieba::SSHConfig.keep_key(machine)
        File.write("FOLDER/vagrant_private_key", "another")
        Tieba::SSHConfig.keep_key(machine)
        [File.read("FOLDER/private_key"), File.stat("FOLDER/private_key").mode & 0o777]
    end"""
    assert ruby(program.replace("FOLDER", str(folder))) == ["the box's", 0o600]


@needs_ruby
@pytest.mark.parametrize(
    ("check", "words"),
    [
        ('vagrant("2.2.6")', "Vagrant 2.2.6: 2.2.19 or newer is needed"),
        ('vagrant("2.3.4")', None),
        ('plugin("libvirt", [])', "the plugin vagrant-libvirt is missing; install it"),
        ('plugin("libvirt", ["vagrant-libvirt"])', None),
        ("plugin(nil, [])", None),
        ('driver("kvm", kvm: false)', "there is no /dev/kvm"),
        ('driver("qemu", kvm: false)', None),
        (
            'ansible("2.14.3", Tieba::Checks::ANSIBLE_MODULES)',
            "ansible-playbook on this computer is 2.14.3: 2.19 or newer is needed",
        ),
        ('ansible("2.21.5", Tieba::Checks::ANSIBLE_MODULES)', None),
        (
            'ansible("2.21.5", %w[ansible.posix.sysctl])',
            "Ansible on this computer is without community.mongodb, community.mysql: `make setup` installs",
        ),
        ('python("bento/ubuntu-22.04")', "box bento/ubuntu-22.04: Ansible runs inside the master, since"),
        ('python("ubuntu/jammy64")', "needs Python 3.11, which Ubuntu 22.04 has not: write another box"),
        ('python("bento/ubuntu-24.04")', None),
        ('python("mine/ubuntu-22.04-python3.12")', None),
    ],
)
def test_programs_that_are_too_old_or_missing(ruby, check, words):
    line = ruby(f"Tieba::Checks.{check}")
    assert line is None if words is None else words in line


@needs_ruby
@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ["ansible.posix", "community.mongodb", "community.mysql"]),
        # As where ansible-core is installed alone.
        ({"ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "false", "ANSIBLE_COLLECTIONS_PATH": "/nonexistent"}, []),
        ({"PATH": "/nonexistent"}, []),
    ],
)
def test_which_collections_ansible_has(ruby, environment, expected):
    set_up = "; ".join(f"ENV[{name!r}] = {value!r}" for name, value in environment.items())
    modules = ruby("Tieba::Plugin.send(:ansible_modules)", set_up)
    assert [name.rpartition(".")[0] for name in modules] == expected


def test_a_box_whose_python_is_too_old_for_ansible_is_one_line(tmp_path):
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\necho 3.10.12\n")
    python.chmod(0o755)
    command = ["sh", str(ROOT / "vagrant" / "control.sh"), str(tmp_path)]
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "error: python3 of the master's box is 3.10.12: Ansible inside it needs 3.11 or newer;"
    )


MACHINE = """
    Tieba::Plugin.settings = settings
    env = Struct.new(:local_data_path).new("FOLDER/.vagrant")
    config = Struct.new(:vm).new(Struct.new(:box).new("mine"))
    machine = Struct.new(:name, :provider_name, :env, :config, :ssh_info).new(:master, :libvirt, env, config)
"""


@needs_ruby
@pytest.mark.parametrize("name", ["BoxAddShortNotFound", "BoxAddNoMatchingArchitecture"])
def test_a_box_that_is_not_to_be_had_is_one_line_with_every_vagrant(folder, ruby, name):
    (folder / ".vagrant").mkdir()
    known = f"Vagrant::Errors::{name} = Class.new(Vagrant::Errors::VagrantError)"
    program = f"""begin
        {MACHINE.replace("FOLDER", str(folder))}
        Tieba::Plugin.instance_variable_set(:@checked, true)
        up = Tieba::Up.new(->(_) {{ raise Vagrant::Errors::{name}, "The box:\n\n  arm64 alone\n" }}, nil)
        up.call({{ machine: machine }})
      rescue Tieba::Stop => e
        e.error_message
      end"""
    line = (
        "box mine: not to be had for libvirt (arm64 alone): write another one into vagrant/config.local.yml"
    )
    assert ruby(program, known) == line


@needs_ruby
def test_a_machine_that_is_halted_has_not_its_address(folder, ruby):
    """It is asked for, as that of one that is not made."""
    for name in ("master", "slave1"):
        (folder / ".vagrant/machines" / name / "libvirt").mkdir(parents=True)
        (folder / ".vagrant/machines" / name / "libvirt/id").write_text("0815")
    program = f"""begin
        {MACHINE.replace("FOLDER", str(folder))}
        env.define_singleton_method(:machine) do |name, _|
          Struct.new(:state).new(Struct.new(:id).new(name == :master ? :running : :shutoff))
        end
        $VERBOSE = nil # what is replaced
        def (Tieba::Checks).driver(*) = nil
        def (Tieba::Checks).network(*) = nil
        def (Tieba::Checks).addresses(_, _, running) = raise(Tieba::Error, running.join(" "))
        Tieba::Plugin.check(machine)
      end"""
    assert ruby(program) == "master"


@needs_ruby
@pytest.mark.parametrize(
    ("arguments", "made", "inside", "expected"),
    [
        # -> the last machine, whether Ansible runs, whether another machine's start calls it
        ("up", "", False, ["slave2", True, False]),
        ("up", "master slave1 slave2", False, ["slave2", True, False]),
        ("up --provider libvirt", "master slave1", False, ["slave2", True, False]),
        ("up slave2", "master slave1", False, ["slave2", True, False]),
        ("up slave1", "master slave1 slave2", False, ["slave1", False, False]),
        ("reload /slave/", "master slave1 slave2", False, ["slave2", False, False]),
        ("up master", "", False, [None, True, False]),
        ("up slave1", "", False, [None, True, False]),
        ("up master slave1", "", False, ["slave1", True, False]),
        ("up", "", True, ["master", True, False]),
        ("up slave2", "master slave1", True, ["slave2", True, True]),
        ("up slave2 --no-provision", "master slave1", True, ["slave2", True, False]),
        ("up slave2", "master slave1 slave2", True, ["slave2", False, False]),
        ("provision slave1", "master slave1 slave2", True, ["slave1", False, True]),
        ("up slave1 --provision", "master slave1 slave2", True, ["slave1", False, True]),
        ("provision slave1", "master slave1 slave2", False, ["slave1", False, False]),
    ],
)
def test_when_ansible_runs(ruby, arguments, made, inside, expected):
    words = json.dumps(arguments.split()), json.dumps(made.split()), json.dumps(inside)
    plan = "Tieba::Plan.new(settings.names, {}, {}, inside: {})".format(*words)
    assert ruby(f"{plan}.then {{ |plan| [plan.last, plan.due?, plan.elsewhere?] }}") == expected


@pytest.mark.skipif(not shutil.which("vagrant"), reason="no vagrant; `make test-vms` installs it")
@pytest.mark.parametrize(
    ("text", "status", "line"),
    [
        ("slaves: {count: 3}", 0, "Vagrantfile validated successfully."),
        (
            "slaves: {count: 0}",
            1,
            "vagrant/config.local.yml: slaves.count is 0: it must be a whole number from 1 to 100",
        ),
    ],
)
def test_vagrant_itself_says_so(folder, local, text, status, line):
    shutil.copy(ROOT / "Vagrantfile", folder)
    for file in (ROOT / "vagrant").glob("*.*b"):
        shutil.copy(file, folder / "vagrant")
    local(text)
    environment = {**os.environ, "VAGRANT_HOME": str(folder / "home"), "VAGRANT_CHECKPOINT_DISABLE": "1"}
    done = subprocess.run(
        ["vagrant", "validate"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, (done.stdout + done.stderr).strip()) == (status, line)


class TestInventory:
    """inventory/vagrant, in a copy of what it needs."""

    @pytest.fixture
    def made(self, folder):
        """Let machines be there."""
        shutil.copytree(ROOT / "vagrant" / "inventory_plugins", folder / "vagrant" / "inventory_plugins")
        shutil.copytree(
            ROOT / "inventory" / "vagrant", folder / "inventory" / "vagrant", ignore=lambda *_: ["secrets"]
        )
        shutil.copy(ROOT / "ansible.cfg", folder)

        def make(*names, key=True):
            for name in names:
                machine = folder / ".vagrant" / "machines" / name / "libvirt"
                machine.mkdir(parents=True)
                (machine / "id").write_text("0815")
                if key:
                    (machine / "private_key").touch()

        return make

    @pytest.fixture
    def inventory(self, folder):
        """Return the machines, or the lines of the error."""

        def read(*command):
            environment = {**os.environ, "ANSIBLE_CONFIG": str(folder / "ansible.cfg")}
            done = subprocess.run(
                command or ["ansible-inventory", "--list"],
                cwd=folder, env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            return json.loads(done.stdout) if done.returncode == 0 and not command else done.stderr

        return read

    def test_only_the_machines_that_vagrant_has_made(self, made, inventory):
        made("master", "slave2")
        found = inventory()
        assert found["slaves"]["hosts"] == ["slave2"]
        assert found["master"]["hosts"] == found["site"]["hosts"] == ["master"]
        assert found["_meta"]["hostvars"]["slave2"]["ansible_host"] == "192.168.56.12"
        assert found["_meta"]["hostvars"]["slave2"]["ansible_ssh_private_key_file"].endswith(
            ".vagrant/machines/slave2/libvirt/private_key"
        )

    def test_none_gets_one_line(self, made, inventory):
        made()
        line = "inventory/vagrant: no virtual machines in this folder; `vagrant up` makes them\n"
        assert inventory() == line

    def test_half_made_gets_one_line(self, made, inventory):
        made("master")
        made("slave1", key=False)
        assert inventory() == "inventory/vagrant: slave1: made in half; `vagrant up` goes on with it\n"

    @pytest.mark.parametrize("text", ["slaves: {count: two}", "master: {", "slaves: 2", "variables: 1"])
    def test_wrong_settings_get_one_line(self, made, inventory, local, text):
        made("master")
        local(text)
        (line,) = inventory().splitlines()
        assert "vagrant/config.yml or config.local.yml is wrong; `vagrant validate` says where" in line

    def test_variables_win_over_those_of_the_inventory(self, made, inventory, local):
        made("master", "slave1")
        local("variables: {crawler_seeds: [], tieba_target: replica}")
        found = inventory()["_meta"]["hostvars"]
        assert found["slave1"]["crawler_seeds"] == found["master"]["crawler_seeds"] == []
        assert found["master"]["tieba_target"] == "replica"

    def test_a_check_of_the_syntax_needs_no_machines(self, made, inventory, folder):
        made()
        (folder / "play.yml").write_text("- hosts: all\n  tasks: []\n")
        assert "no virtual machines" not in inventory("ansible-playbook", "--syntax-check", "play.yml")

    @needs_ruby
    @pytest.mark.parametrize(
        "text",
        [
            "slaves: {count: 12}",
            "master: {address: 10.9.8.200}\nslaves: {first_address: 10.9.8.20, count: 1}",
            "slaves: {first_address: 192.168.56.100}\nbox: x",
        ],
    )
    def test_it_has_the_addresses_that_vagrant_gives(self, made, inventory, local, ruby, text):
        local(text)
        machines = ruby(MACHINES)
        made(*machines)
        hosts = inventory()["_meta"]["hostvars"]
        assert {name: variables["ansible_host"] for name, variables in hosts.items()} == machines
