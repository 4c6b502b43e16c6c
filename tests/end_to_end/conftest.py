"""The commands here are a person's, however the tests themselves were started."""

import os
import signal

# A shell starts jobs in the background with SIGINT ignored, and programs that they start ignore it, too.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Under `make test`, GNU make would end its output with "Leaving directory", after a command's last line.
for name in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS"):
    os.environ.pop(name, None)
