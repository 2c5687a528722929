"""`python -m producer_service`."""

import os
import signal

# As the first process of a container it has no default handlers: a SIGTERM before the daemon's would be ignored. What
# has not started yet ends at once.
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

from producer_service.cli import main  # noqa: E402  (half a second of imports)

if __name__ == "__main__":
    main()
