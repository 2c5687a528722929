"""A service of AWS: signed requests over a connection that is kept, with bounded retries of its own.

It stands in boto3's place because of what that costs: most of the CPU of a row, and three quarters of a cold start
(`benchmarks/processing.py`). It knows no operation and no shape; the adapters write their bodies.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from aws_requests.connection import Answer, Connection
from aws_requests.credentials import Credentials
from aws_requests.errors import Refused, Unavailable, WrongEnvironment
from aws_requests.signature import Scope, signed

ATTEMPTS = 6
FIRST_PAUSE_SECONDS = 0.05
PATIENCE_SECONDS = 6.0
"""No attempt begins later; what the last one takes is bounded by the connection's timeouts, and then Lambda retries."""

_THROTTLED = frozenset(
    {
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
"""Answers of 400 that are worth another attempt: what botocore's standard mode retries."""
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
_FIRST_ERROR = 300
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_CODE = re.compile(rb"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]*)</Message>")

T = TypeVar("T")


class _JsonError(msgspec.Struct):
    """`{"__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", "message": …}`."""

    type: str = msgspec.field(name="__type")
    message: str | None = None
    Message: str | None = None


class Service:
    """One service at its endpoint, for one thread: a function works at one batch at a time.

    Every request may be sent more than once, so each must be harmless twice, or have a condition.
    """

    def __init__(
        self,
        name: str,
        url: str,
        region: str,
        credentials: Credentials,
        *,
        ca_bundle: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scope = Scope(region=region, service=name)
        self._credentials = credentials
        self._sleep, self._monotonic = sleep, monotonic
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise WrongEnvironment(
                f"the endpoint of {name}, {url!r}, is not a URL like https://{name}.eu-west-1.amazonaws.com"
            )
        self._host, self._prefix = parts.netloc.rpartition("@")[2], parts.path.rstrip("/")
        self._connection = Connection(parts.scheme, parts.hostname, parts.port, ca_bundle)

    def send(
        self, action: str, headers: dict[str, str], body: bytes, *, method: str = "POST", path: str = "/"
    ) -> bytes:
        """Send a request until it is answered, and return the answer's body. `headers` are in lower case.

        Raises `Refused` for what will be refused again, `Unavailable` if nothing else came in time.
        """
        request, problem = f"{self._scope.service} {action}", ""
        renewed = False
        started = self._monotonic()
        for attempt, pause in enumerate(pauses(), start=1):
            try:
                answer = self._exchange(method, self._prefix + path, headers, body)
            except OSError as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if answer.status < _FIRST_ERROR:
                    return answer.body
                code, message = _error_of(answer)
                problem = f"{code}: {message}" if message else code
                if code in _EXPIRED and not renewed:
                    renewed = True
                    self._credentials.renew()
                    continue
                if answer.status < _SERVER_ERROR and answer.status != _TOO_MANY_REQUESTS and code not in _THROTTLED:
                    raise Refused(request, code, message)
            if attempt == ATTEMPTS or self._monotonic() + pause - started > PATIENCE_SECONDS:
                break
            self._sleep(pause)
        raise Unavailable(f"{request} failed {attempt} times, at last with {problem}")

    def answer(self, action: str, headers: dict[str, str], body: bytes, kind: type[T]) -> T:
        """Send a request, and return its JSON answer. Raises as `send` does, and `Unavailable` for another shape."""
        content = self.send(action, headers, body)
        try:
            return msgspec.json.decode(content, type=kind)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise Unavailable(f"{self._scope.service} {action}: an answer that is none: {error}") from error

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    def _exchange(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        headers = signed(
            method,
            path,
            headers | {"host": self._host},
            body,
            scope=self._scope,
            keys=self._credentials.keys(),
            now=datetime.now(UTC),
        )
        return self._connection.exchange(method, path, headers, body)


def pauses() -> Iterator[float]:
    """How long to wait after each attempt, the last included."""
    # Full jitter: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    return (random.uniform(0, FIRST_PAUSE_SECONDS * 2**attempt) for attempt in range(ATTEMPTS))  # noqa: S311  (no secret)


def attempts(sleep: Callable[[float], None]) -> Iterator[int]:
    """The numbers of the attempts that there are, from 1, with a pause between each two: for what is done in parts."""
    for attempt, pause in enumerate(pauses(), start=1):
        yield attempt
        if attempt < ATTEMPTS:
            sleep(pause)


def _error_of(answer: Answer) -> tuple[str, str]:
    """The code and the message of an error, from JSON or from XML; what is neither has its status for a code."""
    try:
        error = msgspec.json.decode(answer.body, type=_JsonError)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        code, message = _CODE.search(answer.body), _MESSAGE.search(answer.body)
        return (
            code[1].decode(errors="replace") if code else f"HTTP {answer.status}",
            message[1].decode(errors="replace") if message else "",
        )
    return error.type.rpartition("#")[2], error.message or error.Message or ""
