# frozen_string_literal: true

# usage: ruby steps.rb FOLDER COMMAND...
# What `vagrant COMMAND...` would do on the machines of FOLDER, on Windows, as its Vagrantfile says: one JSON object for each provisioner.
require "json"
require "ostruct"
require_relative "../vagrant"

# Notes the provisioners; all else that a Vagrantfile says is about making machines.
class Recorder
  STEPS = []

  def initialize(machine = nil)
    @machine = machine
  end

  def method_missing(name, *words, **options)
    case name
    when :define then yield Recorder.new(words.first)
    when :provision
      block = OpenStruct.new
      yield block if block_given?
      STEPS << { machine: @machine, type: words.first, **options, **block.to_h }
    end
    self
  end
end

folder = File.expand_path(ARGV.shift)
load File.join(folder, "Vagrantfile")
# As the hooks of vagrant/plugin.rb do.
Tieba::SSHConfig.write(File.join(folder, ".vagrant"), Tieba::Plugin.settings.machines)
puts JSON.generate(Recorder::STEPS)
