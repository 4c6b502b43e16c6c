#!/bin/sh
# usage: install DEST
# Builds this release's virtual environment at DEST with the node's python3, offline, from the
# wheels beside this file.  DEST/.complete is written last.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dest=$1
# What a run has started that was broken off may still be at it: wait, and take what it has made.
exec 9<"$here/install"
flock 9
[ ! -e "$dest/.complete" ] || exit 0
# Of runs that were broken off with other releases nothing else would be left but their archives.
for other in "$(dirname "$dest")"/.[!.]*; do
  [ "$other" = "$here" ] || [ ! -d "$other" ] || flock --nonblock "$other/install" rm -rf "$other" || true
done
python3 -m zipfile -e "$here"/wheels/uv-*.whl "$here/uv"
uv=$(echo "$here"/uv/uv-*.data/scripts/uv)
chmod +x "$uv"
export UV_OFFLINE=1 UV_NO_CONFIG=1 UV_CACHE_DIR="$here/cache"
rm -rf "$dest"
"$uv" venv --quiet --python "$(command -v python3)" "$dest"
set -- pip install --quiet --no-index --find-links "$here/wheels" --python "$dest/bin/python" --compile-bytecode
"$uv" "$@" --require-hashes --requirement "$here/requirements.txt"
"$uv" "$@" --no-deps "$here"/wheels/tieba-*.whl
touch "$dest/.complete"
