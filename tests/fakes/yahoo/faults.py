"""Rules that make the local Yahoo fail on purpose, and the log of the requests that it received."""

from __future__ import annotations

import re
from collections import deque
from typing import Annotated, Literal

import msgspec

from tests.fakes.yahoo.messages import TEXT, Request, Response

ALWAYS = -1
_LOGGED_REQUESTS = 100_000


class Fault(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What happens to requests whose host and path match, such as `query1.finance.yahoo.com/v7/finance/quote`.

    A fault with `status` answers in Yahoo's place. A fault with `drop` closes the connection without an answer. A fault
    with `cut` shortens the answer. Any other fault only delays the request, and further faults that match apply too.
    """

    path: str = ""
    """A regular expression, found anywhere in host and path."""
    status: Annotated[int, msgspec.Meta(ge=100, le=999)] | None = None
    query: str = ""
    """A regular expression, found anywhere in the query, such as `interval=1m`."""
    skip: int = 0
    """How many requests that match are left alone first."""
    body: str = ""
    content_type: str = TEXT
    headers: dict[str, str] = {}
    delay: Annotated[float, msgspec.Meta(ge=0)] = 0
    """Seconds to wait first."""
    drop: bool = False
    cut: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    """Yahoo's own answer, of which only this part of the body comes: as if it were whole, or with `drop` before the
    connection closes."""
    connect: Literal["refuse", "garble"] | None = None
    """Fails new connections to hosts that match `path`, before any request: the connection is refused, or answers the
    TLS handshake with bytes that are not TLS. The other options then have no effect."""
    times: int = 1
    """How many requests it affects, or connections with `connect`. -1 is all of them."""

    @property
    def response(self) -> Response | None:
        """The response in Yahoo's place, if there is one."""
        if self.status is None:
            return None
        return Response(self.status, self.body.encode(), self.content_type, tuple(self.headers.items()))


class Faults:
    """The rules in force."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Add a rule. Raises `re.error` for a path or query that is not a regular expression."""
        re.compile(fault.path)
        re.compile(fault.query)
        self._faults.append(fault)

    def clear(self) -> None:
        """Remove all rules."""
        self._faults.clear()

    def take(self, request: Request) -> list[Fault]:
        """The faults of a request, in the order in which they were added, up to the first one that ends it."""
        taken = []
        for fault in list(self._faults):
            if fault.connect is not None or not re.search(fault.path, request.host + request.path):
                continue
            if not re.search(fault.query, request.query):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            taken.append(fault)
            self._count(fault)
            if fault.drop or fault.status is not None or fault.cut is not None:
                break
        return taken

    def take_connection(self, host: str) -> Literal["refuse", "garble"] | None:
        """How a new connection to a host fails."""
        for fault in list(self._faults):
            if fault.connect is not None and re.search(fault.path, host):
                self._count(fault)
                return fault.connect
        return None

    def _count(self, fault: Fault) -> None:
        if fault.times > 0:
            fault.times -= 1
            if fault.times == 0:
                self._faults.remove(fault)


class LoggedRequest(msgspec.Struct):
    """A request that was received."""

    time: float
    """When it arrived, by the machine's clock, in seconds since 1970."""
    connection: int
    """The number of its connection."""
    method: str
    host: str
    path: str
    query: str
    cookie: str
    status: int | None = None
    """The status of its response. None while there is none, and for a connection that was dropped."""


class RequestLog:
    """The requests since the last reset, oldest first."""

    def __init__(self) -> None:
        self.entries: deque[LoggedRequest] = deque(maxlen=_LOGGED_REQUESTS)

    def add(self, request: Request, connection: int, time: float) -> LoggedRequest:
        """Log a request when it arrives. The caller sets its status."""
        cookie = request.headers.get("cookie", "")
        entry = LoggedRequest(time, connection, request.method, request.host, request.path, request.query, cookie)
        self.entries.append(entry)
        return entry
