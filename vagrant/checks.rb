# frozen_string_literal: true

require "ipaddr"
require "socket"
require_relative "settings"

module Tieba
  # What this computer must be like before the first machine is made; each check raises Error, on one line.
  module Checks
    OLDEST_VAGRANT = "2.2.19" # Ubuntu 22.04's
    OLDEST_ANSIBLE = "2.19"
    # One of each collection that roles use; ansible-core alone has none.
    ANSIBLE_MODULES = %w[ansible.posix.sysctl community.mongodb.mongodb_user community.mysql.mysql_user].freeze
    # Since 6.1.28, VirtualBox gives host-only networks no other addresses, unless this file allows them.
    VIRTUALBOX_FILE = "/etc/vbox/networks.conf"
    VIRTUALBOX_RANGES = ["192.168.56.0/21"].freeze
    # Names of the bridges and adapters on which a provider puts its machines; those of another one are in the way.
    INTERFACES = { "virtualbox" => /\A(vboxnet|VirtualBox)/, "libvirt" => /\Avirbr/, "vmware_desktop" => /\Avmnet/ }.freeze
    # On Windows and macOS they have names that do not tell.
    NAMES_TELL = RUBY_PLATFORM.include?("linux")
    PLUGINS = { "libvirt" => "vagrant-libvirt" }.freeze
    # Through these networks providers let machines out; every machine is in its provider's.
    PROVIDER_NETWORKS = { "virtualbox" => "10.0.2.0/24", "libvirt" => "192.168.121.0/24" }.freeze
    # Boxes whose name says that their Python is too old for Ansible; vagrant/control.sh asks the others' itself.
    OLD_PYTHON = /(22\.?04|jammy(64)?)\z/i.freeze
    ANSWER_SECONDS = 0.5

    # An address of this computer, with the network that it is in.
    Interface = Struct.new(:name, :address, :network)

    module_function

    def vagrant(version)
      return if Gem::Version.new(version) >= Gem::Version.new(OLDEST_VAGRANT)

      raise Error, "Vagrant #{version}: #{OLDEST_VAGRANT} or newer is needed; install it from your system or HashiCorp"
    end

    # +provider+ is the one that was asked for, if any.
    def plugin(provider, installed)
      plugin = PLUGINS[provider.to_s]
      return if plugin.nil? || installed.include?(plugin)

      raise Error, "provider #{provider}: the plugin #{plugin} is missing; install it: apt install #{plugin}, " \
                   "or vagrant plugin install #{plugin}"
    end

    def driver(driver, kvm: File.exist?("/dev/kvm"))
      return if driver != "kvm" || kvm

      raise Error, "libvirt_driver is kvm, but there is no /dev/kvm: turn virtualisation on in the firmware, or write " \
                   "libvirt_driver: qemu (ten times slower) into #{Settings::LOCAL}"
    end

    # +modules+ are those of ANSIBLE_MODULES that it has.
    def ansible(version, modules)
      if version.nil? || Gem::Version.new(version) < Gem::Version.new(OLDEST_ANSIBLE)
        raise Error, "ansible-playbook on this computer is #{version || 'of no version that it tells'}: " \
                     "#{OLDEST_ANSIBLE} or newer is needed; `make setup` installs one into .venv"
      end

      missing = (ANSIBLE_MODULES - modules).map { |name| name[/\A\w+\.\w+/] }
      return if missing.empty?

      raise Error, "Ansible on this computer is without #{missing.join(', ')}: `make setup` installs one into .venv that has all"
    end

    # Where Ansible runs inside the master, +box+ is its box.
    def python(box)
      return unless box.match?(OLD_PYTHON)

      raise Error, "box #{box}: Ansible runs inside the master, since there is none on this computer, and needs Python 3.11, " \
                   "which Ubuntu 22.04 has not: write another box into #{Settings::LOCAL}, or install Ansible here"
    end

    # Host-only networks of VirtualBox are limited to some ranges.
    def virtualbox_range(settings, text = File.exist?(VIRTUALBOX_FILE) ? File.read(VIRTUALBOX_FILE) : nil)
      allowed = virtualbox_ranges(text)
      outside = settings.machines.find { |machine| allowed.none? { |range| range.include?(machine.address) } }
      return unless outside

      known = allowed.map { |range| "#{range}/#{range.prefix}" }.join(", ")
      raise Error, "#{outside.name} gets the address #{outside.address}, " \
                   "but VirtualBox allows #{known.empty? ? 'none' : "only #{known}"}: " \
                   "choose others in #{Settings::LOCAL}, or allow them in #{VIRTUALBOX_FILE}"
    end

    def virtualbox_ranges(text)
      words = text ? text.lines.grep(/\A\s*\*/).flat_map { |line| line.delete("*").split } : VIRTUALBOX_RANGES
      words = ["0.0.0.0/0"] if text && words.empty? && text.match?(/^\s*\*/)
      words.map { |word| virtualbox_one(word) }.select(&:ipv4?)
    end

    def virtualbox_one(word)
      IPAddr.new(word)
    rescue IPAddr::Error
      raise Error, "#{VIRTUALBOX_FILE}: #{word} is no range of addresses, such as #{VIRTUALBOX_RANGES.first}: correct it"
    end

    # The machines' network may not be the one that their provider uses itself.
    def provider_network(settings, provider)
      taken = PROVIDER_NETWORKS[provider.to_s]
      return unless taken && overlap?(IPAddr.new(taken), settings.network)

      raise Error, "#{settings.network}/24, the machines' network: #{provider} itself uses #{taken}; " \
                   "choose another one: #{Settings::CHANGE} in #{Settings::LOCAL}"
    end

    # Machines that the settings no longer know would stay, and crawl on; Vagrant can no longer name them.
    def forgotten(settings, made)
      name = (made - settings.names).min
      return unless name

      raise Error, "#{name} is still there, but slaves.count is #{settings.names.length - 1}: " \
                   "raise it in #{Settings::LOCAL}, vagrant destroy #{name}, then lower it again"
    end

    # Nothing else on this computer may be in the machines' network.
    def network(settings, provider, interfaces: interfaces_here, routes: routes_here, names_tell: NAMES_TELL)
      ours = settings.network
      clash = (interfaces + routes).find do |other|
        overlap?(other.network, ours) && !provided?(other, settings, provider, names_tell)
      end
      return unless clash

      what = clash.address ? "has #{clash.address}" : "has a route"
      raise Error, "#{ours}/24, the machines' network: #{clash.name} of this computer #{what} in " \
                   "#{clash.network}/#{clash.network.prefix}; choose another one: #{Settings::CHANGE} in #{Settings::LOCAL}"
    end

    # Nobody else may have the address of a machine that does not run.  What is not on a network of ours is not asked.
    def addresses(settings, provider, running, interfaces: interfaces_here, answers: method(:answers?), names_tell: NAMES_TELL)
      own = interfaces.map(&:address)
      reachable = interfaces.any? do |interface|
        settings.network.include?(interface.address) && provided?(interface, settings, provider, names_tell)
      end
      settings.machines.each do |machine|
        next if running.include?(machine.name)

        who = "this computer itself" if own.include?(machine.address)
        who ||= "another machine" if reachable && answers.call(machine.address)
        next unless who

        raise Error, "#{machine.name} gets the address #{machine.address}, but #{who} has it: stop that one, or change " \
                     "#{Settings::CHANGE} in #{Settings::LOCAL}"
      end
    end

    # Whether it is the provider's interface. Where the name does not tell, it is the one that has the host's address.
    def provided?(interface, settings, provider, names_tell)
      interface.name.match?(INTERFACES.fetch(provider.to_s, /(?!)/)) ||
        (!names_tell && interface.address == settings.network.succ.to_s)
    end

    def overlap?(one, other)
      one.include?(other) || other.include?(one)
    end

    def answers?(address)
      Socket.tcp(address, 22, connect_timeout: ANSWER_SECONDS).close
      true
    rescue Errno::ECONNREFUSED
      true
    rescue SystemCallError
      false
    end

    def interfaces_here
      Socket.getifaddrs.select { |found| found.addr&.ipv4? }.map do |found|
        address = found.addr.ip_address
        # Ruby for Windows knows no masks.
        Interface.new(found.name, address, IPAddr.new(address).mask(found.netmask&.ip_address || "255.255.255.0"))
      end
    end

    # Routes to single networks, as a VPN sets them; a wide one loses against the machines' own.
    def routes_here(file = "/proc/net/route")
      return [] unless File.readable?(file)

      File.readlines(file).drop(1).filter_map do |line|
        name, destination, _, _, _, _, _, mask = line.split
        mask = [mask].pack("H*").unpack1("L<")
        next if mask.to_s(2).count("1") < 24

        Interface.new(name, nil, IPAddr.new([destination].pack("H*").unpack1("L<"), Socket::AF_INET).mask(
          IPAddr.new(mask, Socket::AF_INET).to_s
        ))
      end
    end
  end
end
