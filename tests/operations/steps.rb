# frozen_string_literal: true

# usage: ruby steps.rb FOLDER COMMAND...
# What `vagrant COMMAND...` would do on the machines of FOLDER, on Windows, as its Vagrantfile says: one JSON object for each provisioner.
require "json"
require "ostruct"

# In the place of Vagrant's own.
module Vagrant
  VERSION = "2.4.1"

  def self.configure(_)
    yield Recorder.new
  end

  def self.has_plugin?(_)
    true
  end

  def self.plugin(_)
    Class.new do
      def self.name(_) = nil
      def self.action_hook(*) = nil
    end
  end

  module Errors
    def self.const_missing(name)
      const_set(name, Class.new(StandardError))
    end
  end

  module Util
    module Platform
      def self.windows? = true
    end
  end
end

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
