#!/usr/bin/env python3
"""The containers of the cluster that CLUSTER names (default: tieba), as an Ansible inventory."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from control.cluster import inventory
from control.process import ControlError

try:
    print(json.dumps(inventory(), indent=1))
except ControlError as error:
    sys.exit(f"inventory/containers: {error}")
