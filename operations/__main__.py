"""`python -m operations`."""

import signal

from operations.cli import app

# Whoever stops it stops it alike: what is under way ends, what is held is let go, and the exit code says so.
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.default_int_handler)

app(prog_name="python -m operations")
