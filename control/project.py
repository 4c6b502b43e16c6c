"""Where things are, and the settings that come from the environment (the Makefile passes them on)."""

import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"  # whatever can be made again: git-ignored, removed by `make clean`
VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "requirements"
INVENTORY = ROOT / "inventory" / "containers"
LOG = CACHE / "control.log"

if any(letter.isspace() for letter in str(ROOT)):
    sys.exit(f"error: {ROOT}: ssh and Ansible stumble over the space in this path; move the folder")

CLUSTER = os.environ.get("CLUSTER") or "tieba"  # names the containers, the network, the secrets
if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", CLUSTER):
    sys.exit(f"error: CLUSTER={CLUSTER}: use a-z, 0-9 and -, a letter first; for example CLUSTER=mine")

# Package mirrors and a certificate authority of one's own, under the names their clients know.
if mirror := os.environ.get("PYPI_MIRROR"):
    os.environ.update(PIP_INDEX_URL=mirror, UV_DEFAULT_INDEX=mirror)
if ca_file := os.environ.get("CA_FILE"):
    if not Path(ca_file).is_file():
        sys.exit(f"error: CA_FILE={ca_file}: no such file; give the path of a PEM file")
    ca_file = str(Path(ca_file).resolve())
    os.environ.update(SSL_CERT_FILE=ca_file, PIP_CERT=ca_file, REQUESTS_CA_BUNDLE=ca_file)
APT_MIRROR = os.environ.get("APT_MIRROR", "")
APT_PROXY = os.environ.get("APT_PROXY", "")
