"""A service of AWS: signed requests over a persistent connection, with bounded retries.

It knows no operation. Its callers write the bodies of requests, and say what the responses look like.
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

from aws_requests.connection import Connection, Response
from aws_requests.credentials import Credentials
from aws_requests.errors import Refused, Unavailable, WrongEnvironment
from aws_requests.signature import Scope, signed

ATTEMPTS = 6
FIRST_PAUSE_SECONDS = 0.05
RETRY_SECONDS = 6.0
"""No attempt starts later than this after the first. The connection's timeouts bound the last attempt."""

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
"""The error codes of status 400 that are retried, the same as in botocore's standard mode."""
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
_FIRST_ERROR = 300
NOT_MODIFIED = 304
"""The status of the answer to a conditional request for what has not changed. It is no error."""
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_CODE = re.compile(rb"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]*)</Message>")

T = TypeVar("T")


class _JsonError(msgspec.Struct):
    """An error such as `{"__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", "message": …}`."""

    type: str = msgspec.field(name="__type")
    message: str | None = None
    Message: str | None = None


class Service:
    """One service at its endpoint, for use by one thread.

    A request may be sent more than once. So it must be idempotent, or have a condition.
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
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if host is None or parts.scheme not in ("http", "https"):
            # The message does not quote the URL, which may hold a password.
            raise WrongEnvironment(
                f"the endpoint of {name} is not a URL such as https://{name}.eu-west-1.amazonaws.com: correct "
                f"AWS_ENDPOINT_URL_{name.upper()} or AWS_ENDPOINT_URL"
            )
        self._host, self._prefix = parts.netloc.rpartition("@")[2], parts.path.rstrip("/")
        self._connection = Connection(parts.scheme, host, port, ca_bundle)

    def send(
        self, action: str, headers: dict[str, str], body: bytes, *, method: str = "POST", path: str = "/"
    ) -> bytes:
        """Send a request, with retries, and return the body of its response. The names in `headers` are in lower case.

        Raises `Refused` if AWS refuses the request permanently, and `Unavailable` if no attempt succeeded in time.
        """
        return self.exchange(action, headers, body, method=method, path=path).body

    def exchange(
        self, action: str, headers: dict[str, str], body: bytes, *, method: str = "POST", path: str = "/"
    ) -> Response:
        """Like `send`, but return the whole response, which may also be `NOT_MODIFIED`. Raises what `send` raises."""
        request, problem = f"{self._scope.service} {action}", ""
        renewed = False
        started = self._monotonic()
        for attempt, pause in enumerate(pauses(), start=1):
            try:
                response = self._exchange(method, self._prefix + path, headers, body)
            except OSError as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if response.status < _FIRST_ERROR or response.status == NOT_MODIFIED:
                    return response
                code, message = _error_of(response)
                problem = f"{code}: {message}" if message else code
                if code in _EXPIRED and not renewed:
                    renewed = True
                    self._credentials.renew()
                    continue
                is_transient = response.status >= _SERVER_ERROR or response.status == _TOO_MANY_REQUESTS
                if not is_transient and code not in _THROTTLED:
                    raise Refused(request, code, message)
            if attempt == ATTEMPTS or self._monotonic() + pause - started > RETRY_SECONDS:
                break
            self._sleep(pause)
        raise Unavailable(f"{request} failed {attempt} times; the last error was {problem}")

    def call(self, action: str, headers: dict[str, str], body: bytes, kind: type[T]) -> T:
        """Send a request and decode its JSON response.

        Raises what `send` raises, and `Unavailable` if the response is not of the given kind.
        """
        content = self.send(action, headers, body)
        try:
            return msgspec.json.decode(content, type=kind)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise Unavailable(f"{self._scope.service} {action}: invalid response: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _exchange(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Response:
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
    """The seconds to wait after each attempt, including the last."""
    # Full jitter: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    return (random.uniform(0, FIRST_PAUSE_SECONDS * 2**attempt) for attempt in range(ATTEMPTS))  # noqa: S311  (not a secret)


def attempts(sleep: Callable[[float], None]) -> Iterator[int]:
    """Count `ATTEMPTS` from 1, with a pause between two of them. For requests of which AWS may do only a part."""
    for attempt, pause in enumerate(pauses(), start=1):
        yield attempt
        if attempt < ATTEMPTS:
            sleep(pause)


def _error_of(response: Response) -> tuple[str, str]:
    """The code and the message of an error, from JSON or XML. If it is neither, its status is the code."""
    try:
        error = msgspec.json.decode(response.body, type=_JsonError)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        code, message = _CODE.search(response.body), _MESSAGE.search(response.body)
        return (
            code[1].decode(errors="replace") if code else f"HTTP {response.status}",
            message[1].decode(errors="replace") if message else "",
        )
    return error.type.rpartition("#")[2], error.message or error.Message or ""
