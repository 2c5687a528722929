"""`python -m smoke`."""

import signal

from smoke.cli import app
from terminal.program import called

# SIGTERM and the end of the terminal stop the test as Ctrl-C does: it cleans up and exits with status 130.
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.default_int_handler)

app(prog_name=called("smoke", command="smoke"))
