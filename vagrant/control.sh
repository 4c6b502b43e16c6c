#!/bin/sh
# Prepares the master to run Ansible itself, in the folder $1 that holds the project: the environment of `make setup`.
set -eu
cd "$1"
# As git would have it; a copy that comes from Windows knows no permissions.
chmod -R go-w .
chmod 600 .vagrant/machines/*/*/private_key
chmod +x control/install.sh
python3 -m control setup
for program in ansible ansible-playbook; do
    sudo ln -sf "$PWD/.venv/bin/$program" "/usr/local/bin/$program"
done
