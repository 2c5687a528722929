"""A service of AWS: signed requests over a connection that is kept, with bounded retries of its own.

It stands in boto3's place because of what that costs: most of the CPU of a row, and three quarters of a cold start
(`benchmarks/processing.py`). It knows no operation and no shape; the adapters write their bodies.
"""

from __future__ import annotations

import http.client
import random
import re
import select
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from processor_lambda.credentials import Credentials
from processor_lambda.errors import SettingsError, Unavailable
from processor_lambda.signature import Scope, signed

CONNECT_SECONDS = 2
READ_SECONDS = 5
ATTEMPTS = 6
FIRST_PAUSE_SECONDS = 0.05
PATIENCE_SECONDS = 6.0
"""No attempt begins later, so a request takes 13 s at the very most, and then Lambda's own retry."""

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
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_CODE = re.compile(rb"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]*)</Message>")
_USUAL_REGION = re.compile(r"(cn|us-gov|af|ap|ca|eu|il|me|mx|sa|us)-[a-z]+-\d+")

T = TypeVar("T")


class Refused(Unavailable):
    """AWS said no, and another attempt would not change it: `code` says why."""

    def __init__(self, request: str, code: str, message: str) -> None:
        super().__init__(f"{request}: {code}: {message}" if message else f"{request}: {code}")
        self.code = code


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
            raise SettingsError(
                f"the endpoint of {name}, {url!r}, is not a URL like https://{name}.eu-west-1.amazonaws.com"
            )
        if ca_bundle is not None and not Path(ca_bundle).is_file():
            raise SettingsError(f"AWS_CA_BUNDLE: {ca_bundle!r} is not a file")
        self._host, self._prefix = parts.netloc.rpartition("@")[2], parts.path.rstrip("/")
        self._connect = _connector(parts.scheme, parts.hostname, parts.port, ca_bundle)
        self._connection: http.client.HTTPConnection | None = None

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
                status, answer = self._exchange(method, self._prefix + path, headers, body)
            except (OSError, http.client.HTTPException) as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if status < http.client.MULTIPLE_CHOICES:
                    return answer
                code, message = _error_of(status, answer)
                problem = f"{code}: {message}" if message else code
                if code in _EXPIRED and not renewed:
                    renewed = True
                    self._credentials.renew()
                    continue
                if not (status >= _SERVER_ERROR or status == _TOO_MANY_REQUESTS or code in _THROTTLED):
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

    def _exchange(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """One request and its answer; a connection that did not bring both to their end is given up."""
        headers = signed(
            method,
            path,
            headers | {"host": self._host},
            body,
            scope=self._scope,
            keys=self._credentials.keys(),
            now=datetime.now(UTC),
        )
        connection, self._connection = self._connection, None
        if connection is None or _is_dropped(connection):
            connection = self._connect()
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answer = response.read()
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return response.status, answer


def pauses() -> Iterator[float]:
    """How long to wait after each attempt, the last included."""
    # Full jitter: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    return (random.uniform(0, FIRST_PAUSE_SECONDS * 2**attempt) for attempt in range(ATTEMPTS))  # noqa: S311  (no secret)


def endpoint_of(service: str, region: str, environment: Mapping[str, str]) -> str:
    """The URL of a service, as the SDK finds it: `AWS_ENDPOINT_URL_<SERVICE>`, `AWS_ENDPOINT_URL`, or the region's."""
    if environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() != "true":
        configured = environment.get(f"AWS_ENDPOINT_URL_{service.upper()}") or environment.get("AWS_ENDPOINT_URL")
        if configured:
            return configured
    unusual = any(environment.get(f"AWS_USE_{kind}_ENDPOINT", "").lower() == "true" for kind in ("FIPS", "DUALSTACK"))
    if unusual or _USUAL_REGION.fullmatch(region) is None:
        from botocore.session import get_session  # noqa: PLC0415  (most of what a cold start would cost)

        url: str = get_session().create_client(service, region_name=region).meta.endpoint_url
        return url
    return f"https://{service}.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def region_of(environment: Mapping[str, str]) -> str:
    """The region that the environment names, as Lambda does. Raises `SettingsError`."""
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if not region:
        raise SettingsError("the function's environment is wrong:\nAWS_REGION: missing")
    return region


def _connector(
    scheme: str, host: str, port: int | None, ca_bundle: str | None
) -> Callable[[], http.client.HTTPConnection]:
    def connect() -> http.client.HTTPConnection:
        connection = (
            http.client.HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=_tls(ca_bundle))
            if scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)
        )
        connection.connect()
        connection.sock.settimeout(READ_SECONDS)
        return connection

    return connect


@lru_cache
def _tls(ca_bundle: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_bundle)  # reading the certificates takes 20 ms: once for all services


def _is_dropped(connection: http.client.HTTPConnection) -> bool:
    """Whether the other end has closed an idle connection, as it does while the function is frozen between batches."""
    if connection.sock is None:  # the last answer said that it would be closed
        return True
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _error_of(status: int, answer: bytes) -> tuple[str, str]:
    """The code and the message of an error, from JSON or from XML; what is neither has its status for a code."""
    try:
        error = msgspec.json.decode(answer, type=_JsonError)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        code, message = _CODE.search(answer), _MESSAGE.search(answer)
        return (
            code[1].decode(errors="replace") if code else f"HTTP {status}",
            message[1].decode(errors="replace") if message else "",
        )
    return error.type.rpartition("#")[2], error.message or error.Message or ""
