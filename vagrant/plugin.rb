# frozen_string_literal: true

require "json"
require_relative "checks"
require_relative "ssh_config"

module Tieba
  # How Vagrant shows an error of ours.
  class Stop < Vagrant::Errors::VagrantError
    def initialize(line)
      @line = line
      super
    end

    def error_message
      @line
    end
  end

  # Around `vagrant up`, of each machine: the checks come before the first one, once.
  class Up
    def initialize(app, _)
      @app = app
    end

    def call(env)
      machine = env[:machine]
      Plugin.check(machine)
      coming = { machine.name.to_s => machine.provider_name.to_s }
      SSHConfig.write(machine.env.local_data_path, Plugin.settings.machines, coming)
      @app.call(env)
      SSHConfig.keep_key(machine)
    rescue Error => e
      raise Stop, e.message
    rescue *NO_BOX => e
      box = machine.config.vm.box
      why = e.message.lines.map(&:strip).reject(&:empty?).last
      raise Stop, "box #{box}: not to be had for #{machine.provider_name} (#{why}): write another one into #{Settings::LOCAL}"
    end

    # Those of all Vagrants: 2.4 knows more of them.
    NO_BOX = %i[
      BoxNotFound BoxAddShortNotFound BoxAddNoMatchingProvider BoxAddNoMatchingProviderVersion BoxAddNoMatchingVersion
      BoxAddNoMatchingArchitecture BoxAddNoArchitectureSupport
    ].select { |name| Vagrant::Errors.const_defined?(name) }.map { |name| Vagrant::Errors.const_get(name) }.freeze
  end

  # After `vagrant destroy`.
  class Destroy
    def initialize(app, _)
      @app = app
    end

    def call(env)
      @app.call(env)
      SSHConfig.write(env[:machine].env.local_data_path, Plugin.settings.machines)
    end
  end

  # Before each provisioner: vagrant-libvirt calls those of a machine that runs already twice in one `vagrant up`.
  class Provision
    @done = []
    class << self
      attr_reader :done
    end

    def initialize(app, _)
      @app = app
    end

    def call(env)
      provisioner = [env[:machine].name, env[:provisioner].class, env[:provisioner].config.object_id]
      return if Provision.done.include?(provisioner)

      Provision.done << provisioner
      SSHConfig.keep_key(env[:machine])
      @app.call(env)
    end
  end

  # Vagrant's hooks.
  class Plugin < Vagrant.plugin("2")
    name "tieba"
    action_hook(:tieba_up, :machine_action_up) { |hook| hook.prepend(Up) }
    action_hook(:tieba_destroy, :machine_action_destroy) { |hook| hook.prepend(Destroy) }
    action_hook(:tieba_provision, :provisioner_run) { |hook| hook.prepend(Provision) }

    class << self
      attr_accessor :settings, :ansible_on_host

      # Check what +machine+'s provider, its network and Ansible need.
      def check(machine)
        return if @checked

        providers = SSHConfig.made(machine.env.local_data_path)
        made = providers.keys
        Checks.forgotten(settings, made)
        case machine.provider_name
        when :virtualbox then Checks.virtualbox_range(settings) unless Vagrant::Util::Platform.windows?
        when :libvirt then Checks.driver(settings.libvirt_driver)
        end
        Checks.provider_network(settings, machine.provider_name)
        Checks.network(settings, machine.provider_name)
        Checks.addresses(settings, machine.provider_name, running(machine.env, providers))
        if ansible_on_host
          Checks.ansible(ansible_version, ansible_modules)
        elsif !made.include?("master")
          Checks.python(settings.box("master", machine.provider_name))
        end
        @checked = true
      end

      private

      # Those of the machines, name -> provider, that answer at their addresses themselves; their providers are asked.
      def running(env, providers)
        providers.select { |name, provider| env.machine(name.to_sym, provider.to_sym).state.id == :running }.keys
      end

      def ansible_version
        Vagrant::Util::Subprocess.execute("ansible-playbook", "--version").stdout[/\d+(\.\d+)+/]
      rescue StandardError
        # Such as that of a .venv whose Python, or whose folder, is gone; Vagrant's own errors differ by version.
        nil
      end

      def ansible_modules
        told = Vagrant::Util::Subprocess.execute("ansible-doc", "--json", "--type", "module", *Checks::ANSIBLE_MODULES)
        JSON.parse(told.stdout).keys
      rescue StandardError
        []
      end
    end
  end
end
