"""`python -m replica`."""

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # the imports below take a second, and need no traceback at Ctrl-C

from replica.cli import app  # noqa: E402  (see above)

app(prog_name="python -m replica")
