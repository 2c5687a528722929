"""How long to wait before another attempt. Pure."""

from __future__ import annotations

_MAX_DOUBLINGS = 16


def pause(failures: int, jitter: float, *, first: float, longest: float) -> float:
    """The seconds to wait after a failure that followed `failures` others: full jitter below an exponential bound.

    The bound doubles from `first` up to `longest`, and `jitter` between 0 and 1 chooses a point below it.
    https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    """
    return jitter * min(longest, first * 2.0 ** min(failures, _MAX_DOUBLINGS))
