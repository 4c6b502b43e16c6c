"""The commands here are a person's: none is the child of the `make test` that runs them."""

import os

# With these, GNU make would end its output with "Leaving directory", after a command's last line.
for name in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS"):
    os.environ.pop(name, None)
