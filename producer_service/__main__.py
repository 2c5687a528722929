"""`python -m producer_service`."""

import os
import signal

# The first process of a container has no default signal handlers, so a SIGTERM would be ignored until the daemon has
# installed its own. Until then nothing has started, and the process may end at once.
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
# A Ctrl-C meanwhile ends it without a traceback of the imports.
is_interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # a shell's background job ignores it
if is_interruptible:
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

from producer_service.cli import app  # noqa: E402  (the imports take half a second, and a signal may come meanwhile)
from terminal.program import called  # noqa: E402

if is_interruptible:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if __name__ == "__main__":
    app(prog_name=called("producer_service"))
