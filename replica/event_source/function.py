"""The function that a mapping invokes: the port, what an invocation brings, and the fake."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Protocol

import msgspec


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """A function that was invoked, and answered."""

    request_id: str
    payload: bytes = b"null"
    function_error: str | None = None
    """`Unhandled` when the function raised, died or timed out; the payload then tells the error."""
    status_code: int = 200
    executed_version: str = "$LATEST"


class NotInvoked(Exception):
    """The function could not be invoked: throttled, not ready, out of reach. The function itself did not fail."""


class Function(Protocol):
    """A deployed function. Called from several threads at once."""

    def invoke(self, payload: bytes) -> Invocation:
        """Invoke synchronously. A function's failure is a value; raises `NotInvoked` where none ran."""


class FakeFunction:
    """Runs a handler in this process; what it raises is a function error, but for `NotInvoked`."""

    def __init__(self, handler: Callable[[dict[str, list[dict[str, object]]]], object]) -> None:
        self._handler = handler

    def invoke(self, payload: bytes) -> Invocation:
        """Call the handler with the decoded event."""
        try:
            answer = self._handler(json.loads(payload))
        except NotInvoked:
            raise
        except Exception as error:  # noqa: BLE001  (as the Lambda runtime does)
            message = {"errorMessage": str(error), "errorType": type(error).__name__}
            return Invocation(request_id="fake", payload=json.dumps(message).encode(), function_error="Unhandled")
        return Invocation(request_id="fake", payload=json.dumps(answer).encode())
