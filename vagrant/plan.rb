# frozen_string_literal: true

module Tieba
  # What one `vagrant` command does: on which machines, and after which of them Ansible runs.
  class Plan
    attr_reader :order

    # +names+: master, slave1, …; +arguments+: the command line; +made+: the machines that there are already.
    # +inside+: Ansible runs inside the master, which therefore comes up last.
    def initialize(names, arguments, made, inside:)
      @order = inside ? names.rotate : names
      @arguments = arguments
      @made = made
      @inside = inside
    end

    # Those that the command names, by name or /pattern/; all if it names none.
    def targets
      named = order.select do |name|
        @arguments.any? { |word| word == name || ((pattern = word[%r{\A/(.+)/\z}, 1]) && name.match?(pattern)) }
      end
      named.empty? ? order : named
    end

    # The machine after whose start Ansible runs, since then all are there; nil where there is no cluster yet.
    def last
      targets.last if is_cluster?
    end

    # Whether Ansible runs without being asked to: not when single machines come back that were set up before.
    def due?
      targets == order || !(targets - @made).empty?
    end

    # Whether Ansible, inside the master, must be called from another machine's start.
    def elsewhere?
      wanted = due? || %w[provision --provision].any? { |word| @arguments.include?(word) }
      @inside && !targets.include?("master") && wanted && is_cluster? && !@arguments.include?("--no-provision")
    end

    private

    def is_cluster?
      there = targets | @made
      there.include?("master") && there.any? { |name| name != "master" }
    end
  end
end
