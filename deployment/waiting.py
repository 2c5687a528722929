"""Waits for AWS. Errors that pass by themselves do not end the wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as UnreachableError

_Seen = TypeVar("_Seen")
_PASSING_CODES = (
    "InternalError",
    "InternalFailure",
    "RequestLimitExceeded",
    "RequestTimeout",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
)


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to wait, and how often to look."""

    poll_seconds: float = 1
    """The time between two looks. An emulator is often done before the first one."""
    timeout_seconds: float = 1800
    settle_seconds: float = 30
    """How long AWS may take until a request shows what an earlier one has started."""
    pause: Callable[[float], None] = time.sleep

    def until(
        self,
        look: Callable[[], _Seen | None],
        seconds: float | None = None,
        passes: Callable[[Exception], bool] | None = None,
    ) -> _Seen | None:
        """The first thing that `look` sees, or None after `seconds` or the timeout.

        An error that passes by itself counts as seeing nothing. The last look raises it. `passes` tells such errors.
        """
        passes = passes or passes_by_itself
        looks = max(1, round((self.timeout_seconds if seconds is None else seconds) / self.poll_seconds))
        for _ in range(looks):
            try:
                seen = look()
            except (ClientError, HTTPClientError, UnreachableError) as error:
                if not passes(error):
                    raise
                seen = None
            if seen is not None:
                return seen
            self.pause(self.poll_seconds)
        return look()


def passes_by_itself(error: Exception) -> bool:
    """Whether the same request may succeed later without a change: throttling, trouble of AWS or of the network."""
    if not isinstance(error, ClientError):
        return isinstance(error, HTTPClientError | UnreachableError)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return error.response["Error"].get("Code") in _PASSING_CODES or status >= HTTPStatus.INTERNAL_SERVER_ERROR
