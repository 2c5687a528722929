"""A fault at a call out of the process: while it is on, the call raises instead of being made."""

from __future__ import annotations

import http.client
import socket
import sqlite3
import ssl
from collections.abc import Callable
from typing import Any

from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from urllib3.exceptions import ProtocolError

ERRORS: dict[str, Callable[[], BaseException]] = {
    "refreshed and expired": lambda: RuntimeError("Credentials were refreshed, but the refreshed ones are expired"),
    "no credentials": NoCredentialsError,
    "helper failed": lambda: CredentialRetrievalError(provider="custom-process", error_msg="exit 1"),
    "token expired": lambda: ClientError({"Error": {"Code": "ExpiredTokenException", "Message": ""}}, "PutRecords"),
    "answer without a code": lambda: ClientError({}, "PutRecords"),
    "no connection": lambda: EndpointConnectionError(endpoint_url="https://kinesis"),
    "no answer": lambda: ReadTimeoutError(endpoint_url="https://kinesis"),
    "TLS": lambda: ssl.SSLError(1, "certificate verify failed"),
    "DNS": lambda: socket.gaierror(-3, "Temporary failure in name resolution"),
    "too many files": lambda: OSError(24, "Too many open files"),
    "disk full": lambda: OSError(28, "No space left on device"),
    "urllib3": lambda: ProtocolError("Connection aborted."),
    "cut off": lambda: http.client.IncompleteRead(b"", 10),
    "not UTF-8": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    "key": lambda: KeyError("StreamDescriptionSummary"),
    "assertion": lambda: AssertionError("impossible"),
    "type": lambda: TypeError("'NoneType' object is not subscriptable"),
    "memory": MemoryError,
    "recursion": lambda: RecursionError("maximum recursion depth exceeded"),
    "SQLite": lambda: sqlite3.OperationalError("database or disk is full"),
    "SQLite file": lambda: sqlite3.DatabaseError("database disk image is malformed"),
    "iteration": StopIteration,
    "exit of a library": lambda: SystemExit(3),
    "no kind at all": lambda: BaseException("cancelled"),
}
"""What libraries and the operating system raise, and a few that they never should, by name."""


class Fault:
    """Replaces a method of an object. `calls` counts the calls that raised."""

    def __init__(self, target: Any, method: str, error: Callable[[], BaseException]) -> None:
        self.is_on = True
        self.calls = 0
        original = getattr(target, method)

        def call(*args: Any, **kwargs: Any) -> Any:
            if self.is_on:
                self.calls += 1
                raise error()
            return original(*args, **kwargs)

        setattr(target, method, call)
