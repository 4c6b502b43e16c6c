#!/bin/sh
# Prepares the master to run Ansible itself, in the folder $1 that holds the project: the environment of `make setup`.
set -eu
version=$(python3 -c 'import platform; print(platform.python_version())')
case $version in
    3.[0-9].* | 3.10.*)
        echo "error: python3 of the master's box is $version: Ansible inside it needs 3.11 or newer; name a newer box in" \
            "vagrant/config.local.yml, such as one with Ubuntu 24.04, or install Ansible on this computer" >&2
        exit 1
        ;;
esac
cd "$1"
# As git would have it; a copy that comes from Windows knows no permissions.
chmod -R go-w .
chmod 600 .vagrant/machines/*/*/private_key
chmod +x control/install.sh
python3 -m control setup
for program in ansible ansible-playbook; do
    sudo ln -sf "$PWD/.venv/bin/$program" "/usr/local/bin/$program"
done
