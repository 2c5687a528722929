"""The connection to Yahoo's streaming endpoint: opens it, subscribes, and opens it again whenever it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime
from queue import SimpleQueue
from typing import Any, TypeVar

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from producer_service.backoff import pause
from yahoo_requests.errors import FailureReason, failure_reason

URL = "wss://streamer.finance.yahoo.com/?version=2"
SUBSCRIBE_SECONDS = 15.0
"""How often the symbols are subscribed again, as yfinance does. Otherwise Yahoo stops to send them."""
OPEN_SECONDS = 10.0
CLOSE_SECONDS = 1.0
PING_SECONDS = 20.0
"""A ping is sent this often, and its answer may take as long. So a dead connection is noticed within 40 s."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
"""The bounds of the pause before another attempt."""
REFUSED_SECONDS, LONGEST_REFUSED_SECONDS = 60.0, 3_600.0
"""What the pause is longer by if Yahoo refuses the connection. It doubles up to the second value."""
MAX_FAILURES = 16
STEADY_SECONDS = 60.0
"""After a connection of this length the next pause is as short as the first."""
MAX_WAITING = 10_000
"""The most messages that wait to be taken. Then no more are read, so Yahoo may end the connection."""
_FULL_SECONDS = 0.05


class Opened(msgspec.Struct, frozen=True):
    """The connection is open, and the symbols are subscribed."""


class Received(msgspec.Struct, frozen=True, gc=False):
    """A message came."""

    frame: str | bytes
    at: datetime


class Lost(msgspec.Struct, frozen=True):
    """The connection ended, or could not be opened."""

    reason: FailureReason
    detail: str
    is_refused: bool = False
    """Whether Yahoo refused to open it."""


ConnectionEvent = Opened | Received | Lost
T = TypeVar("T")


class Connection:
    """Keeps one connection for some symbols, and reports all that happens to it. `jitter` is uniform from 0 to 1.

    `run` returns after `close`, which any thread may call at any time. The connection goes by the environment's proxy
    and certificate authorities. It runs on asyncio, because the synchronous client of websockets reads and writes one
    TLS connection from two threads, and may hang when a session ticket of TLS 1.3 comes.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        events: SimpleQueue[ConnectionEvent],
        *,
        now: Callable[[], datetime],
        jitter: Callable[[], float],
        ping_seconds: float = PING_SECONDS,
        subscribe_seconds: float = SUBSCRIBE_SECONDS,
        open_seconds: float = OPEN_SECONDS,
    ) -> None:
        self._subscription = json.dumps({"subscribe": list(symbols)})
        self._events = events
        self._now = now
        self._jitter = jitter
        self._ping_seconds = ping_seconds
        self._subscribe_seconds = subscribe_seconds
        self._open_seconds = open_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = asyncio.Event()
        self._renewed = asyncio.Event()

    def run(self) -> None:
        """Keep the connection until `close`. Call it once."""
        asyncio.run(self._run())

    def close(self) -> None:
        """Make `run` return within about a second."""
        self._call(self._closed.set)

    def renew(self) -> None:
        """End this connection and open another, because it has stalled. It is not reported as lost."""
        self._call(self._renewed.set)

    def _call(self, action: Callable[[], None]) -> None:
        if self._loop is None:  # `run` has not begun
            action()
            return
        with suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(action)

    async def _run(self) -> None:
        loop = self._loop = asyncio.get_running_loop()
        failures = 0
        while not self._closed.is_set():
            started = loop.time()
            self._renewed.clear()
            lost = await self._until_closed(self._connect())
            if self._closed.is_set():
                return
            if lost is not None:
                self._events.put(lost)
            if loop.time() - started > STEADY_SECONDS:
                failures = 0
            seconds = pause(failures, self._jitter(), first=FIRST_PAUSE_SECONDS, longest=LONGEST_PAUSE_SECONDS)
            if lost is not None and lost.is_refused:
                seconds += min(REFUSED_SECONDS * 2.0**failures, LONGEST_REFUSED_SECONDS)
            await self._until_closed(asyncio.sleep(seconds))
            failures = min(failures + 1, MAX_FAILURES)

    async def _until_closed(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result of some work. It is cancelled on `close`."""
        working, closing = asyncio.create_task(work), asyncio.create_task(self._closed.wait())
        try:
            await asyncio.wait({working, closing}, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            await _cancel(working, closing)

    async def _connect(self) -> Lost | None:
        """Open a connection and serve it until it ends. Returns why it ended, or None if it is to be renewed."""
        try:
            async with connect(
                URL,
                open_timeout=self._open_seconds,
                close_timeout=CLOSE_SECONDS,
                ping_interval=self._ping_seconds,
                ping_timeout=self._ping_seconds,
            ) as socket:
                return await self._serve(socket)
        except InvalidStatus as error:
            status = error.response.status_code
            reason = failure_reason(status) or "malformed"
            is_refused = reason in ("rate_limited", "unauthorized")
            return Lost(reason, f"HTTP {status} from the streaming endpoint", is_refused)
        except TimeoutError as error:
            return Lost("timeout", f"the streaming endpoint does not answer: {error}")
        except (OSError, EOFError, WebSocketException, ImportError) as error:  # it lacks a package for SOCKS proxies
            return Lost("connection", f"the stream ended: {type(error).__name__}: {error}")

    async def _serve(self, socket: ClientConnection) -> Lost | None:
        await socket.send(self._subscription)
        self._events.put(Opened())
        renewing = asyncio.create_task(self._renewed.wait())
        serving = [asyncio.create_task(self._receive(socket)), asyncio.create_task(self._subscribe(socket))]
        try:
            done, _ = await asyncio.wait({renewing, *serving}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # raises what ended the connection
            return None
        finally:
            await _cancel(renewing, *serving)

    async def _receive(self, socket: ClientConnection) -> None:
        while True:
            frame = await socket.recv()
            while self._events.qsize() >= MAX_WAITING:  # noqa: ASYNC110  (the queue cannot wake this loop)
                await asyncio.sleep(_FULL_SECONDS)
            self._events.put(Received(frame, self._now()))

    async def _subscribe(self, socket: ClientConnection) -> None:
        while True:
            await asyncio.sleep(self._subscribe_seconds)
            await socket.send(self._subscription)


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
