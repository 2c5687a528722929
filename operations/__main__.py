"""`python -m operations`."""

import signal

from operations.cli import app
from terminal.program import called

# SIGTERM stops a command as Ctrl-C does: it releases the messages that it hides, and exits with status 130.
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.default_int_handler)

app(prog_name=called("operations"))
