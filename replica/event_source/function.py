"""The port to the function that a mapping invokes, and the answer of an invocation."""

from __future__ import annotations

from typing import Protocol

import msgspec


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """An invocation that the function answered."""

    request_id: str
    payload: bytes = b"null"
    function_error: str | None = None
    """`Unhandled` if the function raised, died or timed out. The payload then describes the error."""
    status_code: int = 200
    executed_version: str = "$LATEST"


class NotInvoked(Exception):
    """The function was not invoked, because it was throttled, not ready or out of reach. The function did not fail."""


class Function(Protocol):
    """A deployed function. Called from several threads at once."""

    def invoke(self, payload: bytes) -> Invocation:
        """Invoke the function and wait for its answer. A function error is a value; raises `NotInvoked`."""
