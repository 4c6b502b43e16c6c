#!/bin/sh
# usage: inventory.sh FOLDER
# Lists what a deployment can leave behind: files, units, users, groups.
# Left out is what any package's installation changes: apt's and dpkg's own records, caches, logs of
# the system, libraries that stay as other packages' dependencies.
set -eu
mkdir -p "$1"
find /etc /opt /srv /usr/local /home /root /var /run -xdev \
    \( -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/cache -o -path /var/log/apt -o -path /var/log/journal \
       -o -path /var/tmp -o -path /run -o -path "$1" -o -path /root/before -o -path '*/.ansible' -o -path '*/.ssh' \) -prune \
    -o -print | sort >"$1/files"
systemctl list-unit-files --no-legend --plain | awk '{print $1}' | sort >"$1/units"
cut -d: -f1 /etc/passwd | sort >"$1/users"
cut -d: -f1,4 /etc/group | sort >"$1/groups"
