#!/bin/sh
# usage: install DEST
# Builds this release's virtual environment at DEST with the node's python3, offline, from the
# wheels beside this file.  DEST/.complete is written last.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dest=$1
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
