"""The commands here are a person's, however the tests themselves were started."""

import os

# Under `make test`, GNU make would end its output with "Leaving directory", after a command's last line.
for name in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS"):
    os.environ.pop(name, None)
