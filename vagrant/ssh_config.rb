# frozen_string_literal: true

require "fileutils"

module Tieba
  # .vagrant/ssh_config, for ssh -F, scp, rsync and editors: the machines that there are, by name.
  module SSHConfig
    module_function

    # Which machines Vagrant has made in this folder: name -> provider.
    def made(data_path)
      Dir.glob(File.join(data_path, "machines", "*", "*", "id")).reject { |id| File.zero?(id) }.to_h do |id|
        id.split("/")[-3, 2]
      end
    end

    # Write the file; +coming+ are machines that are about to be made: name -> provider.
    def write(data_path, machines, coming = {})
      providers = made(data_path).merge(coming)
      hosts = machines.select { |machine| providers.key?(machine.name) }.map do |machine|
        host(machine, File.join(data_path, "machines", machine.name, providers[machine.name], "private_key"))
      end
      File.write(File.join(data_path, "ssh_config"), hosts.join("\n"))
    end

    # Put the key of +machine+, one of Vagrant's, where the others' are: boxes that were packaged from a machine bring theirs along,
    # and Vagrant leaves it there.
    def keep_key(machine)
      key = machine.data_dir.join("private_key")
      used = machine.ssh_info && machine.ssh_info[:private_key_path].first
      FileUtils.install(used, key, mode: 0o600) if used && !key.exist?
    end

    def host(machine, key)
      <<~HOST
        Host #{machine.name}
          HostName #{machine.address}
          User vagrant
          IdentityFile "#{key}"
          IdentitiesOnly yes
          StrictHostKeyChecking no
          UserKnownHostsFile /dev/null
          LogLevel ERROR
      HOST
    end
  end
end
