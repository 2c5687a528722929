"""`python -m replica`."""

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # the imports below take a second, and need no traceback at Ctrl-C

from replica.cli import app  # noqa: E402  (see above)
from terminal.program import called  # noqa: E402

app(prog_name=called("replica"))
