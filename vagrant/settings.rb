# frozen_string_literal: true

require "date"
require "ipaddr"
require "socket"
require "yaml"

# What vagrant/config.yml and vagrant/config.local.yml say about the machines.
module Tieba
  # Something that the user can mend, on one line.
  class Error < StandardError; end

  Machine = Struct.new(:name, :address, :cpus, :memory)

  # The settings, checked; raises Error.
  class Settings
    FILE = "vagrant/config.yml"
    LOCAL = "vagrant/config.local.yml"
    PROVIDERS = %w[virtualbox libvirt].freeze
    DRIVERS = %w[kvm qemu].freeze
    MOST_SLAVES = 100
    LEAST_MEMORY = 1024 # MiB; the system takes some of it, and preflight wants 900
    RESERVED = [0, 1, 255].freeze # last byte of an address: the network's, the host's, broadcasts'

    # key -> what its value must be: a class, a range, a list of values, or the keys inside
    SHAPE = {
      "box" => :box,
      "box_version" => :version,
      "master" => { "address" => :address, "cpus" => 1..64, "memory" => LEAST_MEMORY..1_048_576 },
      "slaves" => {
        "box" => :own_box, "count" => 1..MOST_SLAVES, "first_address" => :address, "cpus" => 1..64, "memory" => LEAST_MEMORY..1_048_576
      },
      "libvirt_driver" => DRIVERS,
      "variables" => :variables
    }.freeze

    attr_reader :machines

    # Read the files in +folder+, the project's.
    def self.load(folder)
      new(*[FILE, LOCAL].map { |name| read(folder, name) })
    end

    def self.read(folder, name)
      path = File.join(folder, name)
      return {} if name == LOCAL && !File.exist?(path)

      # As Python reads it for the inventory: with days, and with & and *.
      content = YAML.safe_load(File.read(path, encoding: "UTF-8"), permitted_classes: [Date, Time], aliases: true) || {}
      raise Error, "#{name}: it holds #{content.inspect}, not settings with names; see #{FILE}" unless content.is_a?(Hash)

      content
    rescue Psych::Exception => e
      raise Error, "#{name}: not YAML: #{e.message.lines.first.strip}"
    rescue SystemCallError => e
      raise Error, "#{name}: #{e.message}"
    end

    def initialize(settings, local = {})
      check_shape(local, SHAPE, LOCAL)
      @settings = merge(settings, local)
      check_shape(@settings, SHAPE, FILE)
      check_complete(@settings, SHAPE)
      @machines = place
      check_addresses
    end

    def names
      machines.map(&:name)
    end

    # The box of the machine +name+ for +provider+; other providers than ours get VirtualBox's.
    def box(name, provider)
      box = @settings["box"]
      own_box(name, provider) || (box.is_a?(Hash) ? box[provider.to_s] || box[PROVIDERS.first] : box)
    end

    # A box of the slaves' own has no version.
    def box_version(name, provider)
      @settings["box_version"]&.to_s unless own_box(name, provider)
    end

    def libvirt_driver
      @settings["libvirt_driver"]
    end

    # The network that all machines are in.
    def network
      IPAddr.new("#{machines.first.address}/24")
    end

    private

    # The slaves' own box may be there for one provider alone, since it is made on one.
    def own_box(name, provider)
      box = @settings["slaves"]["box"] unless name == "master"
      box.is_a?(Hash) ? box[provider.to_s] : box
    end

    def merge(base, change)
      base.merge(change) { |_, old, new| old.is_a?(Hash) && new.is_a?(Hash) ? merge(old, new) : new }
    end

    def check_shape(settings, shape, file, path = [])
      settings.each do |key, value|
        name = [*path, key].join(".")
        expected = shape[key] or raise Error, unknown(file, name, key, shape)
        next if fits?(value, expected, file, [*path, key])

        shown = { NilClass => "null", Date => value.to_s }[value.class] || value.inspect
        raise Error, "#{file}: #{name} is #{shown}: it must be #{say(expected)}"
      end
    end

    def unknown(file, name, key, shape)
      close = shape.keys.find { |known| similar?(known, key.to_s) }
      hint = close ? "did you mean #{close}?" : "known are #{shape.keys.join(', ')}"
      "#{file}: #{name}: there is no such setting; #{hint}"
    end

    # Whether one is the other but for its ending or two letters that are wrong.
    def similar?(known, given)
      return true if known.start_with?(given) || given.start_with?(known)

      (known.length - given.length).abs <= 2 && (known.chars.tally.merge(given.chars.tally) { |_, a, b| a - b })
        .values.sum(&:abs) <= 2
    end

    def fits?(value, expected, file, path)
      case expected
      when Hash then value.is_a?(Hash) && (check_shape(value, expected, file, path) || true)
      when Range then value.is_a?(Integer) && expected.cover?(value)
      when Array then expected.include?(value)
      else send("#{expected}?", value)
      end
    end

    def box?(value)
      return value.is_a?(String) && !value.empty? unless value.is_a?(Hash)

      !value.empty? && value.all? { |provider, name| PROVIDERS.include?(provider) && name.is_a?(String) && !name.empty? }
    end

    def own_box?(value)
      value.nil? || box?(value)
    end

    def version?(value)
      value.nil? || value.is_a?(String) || value.is_a?(Numeric)
    end

    def address?(value)
      value.is_a?(String) && IPAddr.new(value).ipv4? && !value.include?("/")
    rescue IPAddr::Error
      false
    end

    def variables?(value)
      value.is_a?(Hash) && value.keys.all?(String)
    end

    def say(expected)
      case expected
      when Hash then "settings with names: #{expected.keys.join(', ')}"
      when Range then "a whole number from #{expected.min} to #{expected.max}"
      when Array then expected.join(" or ")
      else
        {
          box: "the name of a box, or one for each of #{PROVIDERS.join(', ')}",
          own_box: "the name of a box, or one for each provider that has one, or null", version: "a version, or null",
          address: "an IPv4 address, such as 192.168.56.10", variables: "a dictionary of Ansible's variables"
        }[expected]
      end
    end

    def check_complete(settings, shape, path = [])
      shape.each do |key, expected|
        raise Error, "#{FILE}: #{[*path, key].join('.')} is missing; it must be #{say(expected)}" unless settings.key?(key)

        check_complete(settings[key], expected, [*path, key]) if expected.is_a?(Hash)
      end
    end

    # The master, then the slaves.
    def place
      master, slaves = @settings.values_at("master", "slaves")
      first = IPAddr.new(slaves["first_address"]).to_i
      [Machine.new("master", master["address"], master["cpus"], master["memory"])] +
        Array.new(slaves["count"]) do |index|
          # After the last address of all comes the first one, which check_addresses refuses.
          address = IPAddr.new((first + index) % (1 << 32), Socket::AF_INET).to_s
          Machine.new("slave#{index + 1}", address, slaves["cpus"], slaves["memory"])
        end
    end

    def check_addresses
      seen = {}
      machines.each do |machine|
        where = "#{FILE}: #{machine.name} gets the address #{machine.address}"
        raise Error, "#{where}, as #{seen[machine.address]} does: change #{CHANGE}" if seen[machine.address]
        unless network.include?(machine.address)
          raise Error, "#{where}, which is not in the master's network #{network}/24: change #{CHANGE}"
        end
        if RESERVED.include?(machine.address[/\d+\z/].to_i)
          raise Error, "#{where}: the ends .0, .1 and .255 belong to the network and this computer: change #{CHANGE}"
        end

        seen[machine.address] = machine.name
      end
    end

    CHANGE = "master.address or slaves.first_address"
  end
end
