"""Yahoo's stream of prices as a pushed source, with a slow poll beside it that reconciles.

Yahoo's terms limit its API to personal use.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any

import msgspec
import structlog

from producer_service.sources import Failure, FetchResult, Market, PolledSource
from producer_service.sources.yahoo_stream.connection import Connection, Lost, Opened, Received
from producer_service.sources.yahoo_stream.gaps import Gap
from producer_service.sources.yahoo_stream.messages import Garbage, trade_of
from producer_service.sources.yahoo_stream.reconciler import Moment, Reconciler
from producer_service.sources.yahoo_stream.trades import Trade

TICK_SECONDS = 0.2
"""How often it looks whether a poll is due and whether the connection has stalled, if nothing happens."""
MAX_TOGETHER = 500
"""The most messages that become one result."""
END_SECONDS = 3.0

log = structlog.get_logger(__name__)


class Polled(msgspec.Struct, frozen=True):
    """A poll ended."""

    began: Moment
    result: FetchResult


class Crashed(msgspec.Struct, frozen=True):
    """A thread ended by an error that nobody expects."""

    error: BaseException


Event = Opened | Received | Lost | Polled | Crashed


class YahooStreamSource:
    """Delivers the trades that Yahoo streams, merged with the quotes that polls bring: see `merge` and `reconciler`.

    The first poll comes before the connection, because the quotes of trades build on its quotes. The loss of the
    connection is a failure of the source, and so is one that goes silent: see `gaps`. The connection is opened again
    by itself, so `listen` returns only after `close`.

    `poller` polls Yahoo, and is closed with this source. `connection` are options of `Connection`.
    """

    def __init__(
        self,
        symbols: tuple[str, ...],
        poller: PolledSource,
        *,
        reconcile_seconds: float,
        extended_hours: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        connection: dict[str, Any] | None = None,
    ) -> None:
        self.symbols = symbols
        self.traits = poller.traits
        self._poller = poller
        self._reconcile_seconds = reconcile_seconds
        self._extended_hours = extended_hours
        self._monotonic = monotonic
        self._jitter = jitter
        self._connection_options = connection or {}
        self._closed = threading.Event()

    def listen(self, deliver: Callable[[FetchResult], None], market: Market) -> None:
        """See `PushedSource`."""
        reconciler = Reconciler(
            self.symbols,
            extended_hours=self._extended_hours,
            poll_seconds=self._reconcile_seconds,
            started=self._monotonic(),
        )
        events: SimpleQueue[Any] = SimpleQueue()
        connection = Connection(self.symbols, events, now=market.now, jitter=self._jitter, **self._connection_options)
        listening = _Listening(
            reconciler, connection, self._poller, events, symbols=self.symbols, market=market, monotonic=self._monotonic
        )
        try:
            while not self._closed.is_set():
                for result in listening.step():
                    deliver(result)
        finally:
            listening.end()

    def close(self) -> None:
        """See `PushedSource`."""
        self._closed.set()
        self._poller.close()


class _Listening:
    """One call of `listen`. The connection and each poll run on threads of their own, which report by events."""

    def __init__(
        self,
        reconciler: Reconciler,
        connection: Connection,
        poller: PolledSource,
        events: SimpleQueue[Event],
        *,
        symbols: tuple[str, ...],
        market: Market,
        monotonic: Callable[[], float],
    ) -> None:
        self._symbols = symbols
        self._reconciler = reconciler
        self._connection = connection
        self._poller = poller
        self._market = market
        self._events = events
        self._monotonic = monotonic
        self._connecting: threading.Thread | None = None
        self._polling: threading.Thread | None = None

    def step(self) -> list[FetchResult]:
        """Wait for events, but not for long, and return what is to be delivered."""
        gap = self._reconciler.gap
        events = self._next_events()
        now = self._moment()
        results = [*self._results(events, now)]
        if (stalled := self._reconciler.stalls(now)) is not None:
            self._connection.renew()
            results.append(stalled)
        if not events and (quiet := self._reconciler.quiet(now)) is not None:
            results.append(quiet)
        if self._polling is None and self._reconciler.takes_poll(now):
            self._polling = self._start("poll yahoo_stream", lambda: self._poll(now))
        self._log(gap, now)
        return results

    def end(self) -> None:
        """End both threads."""
        self._connection.close()
        for thread in (self._connecting, self._polling):
            if thread is not None:
                thread.join(END_SECONDS)

    def _next_events(self) -> list[Event]:
        events: list[Event] = []
        try:
            events.append(self._events.get(timeout=TICK_SECONDS))
            while len(events) < MAX_TOGETHER:
                events.append(self._events.get_nowait())
        except Empty:
            pass
        return events

    def _moment(self) -> Moment:
        due, trading = self._market.due(), self._market.trading()
        return Moment(
            at=self._market.now(),
            uptime=self._monotonic(),
            due=due,
            is_trading=bool(trading),
            all_trade=len(due) == len(trading),
        )

    def _results(self, events: list[Event], now: Moment) -> Iterator[FetchResult]:
        received: list[Received] = []
        for event in events:
            if isinstance(event, Received):
                received.append(event)
                continue
            yield from self._take_messages(received, now)
            received = []
            match event:
                case Polled(began, result):
                    self._polling = None
                    yield self._reconciler.polled(began, result, now)
                    if self._connecting is None:
                        self._connecting = self._start("stream yahoo_stream", self._connection.run)
                case Opened():
                    self._reconciler.opened(now)
                case Lost(reason, detail, is_refused):
                    failure = Failure(reason, detail, self._symbols)
                    yield self._reconciler.lost(failure, now, is_refused=is_refused)
                case Crashed(error):
                    raise error
        yield from self._take_messages(received, now)

    def _take_messages(self, messages: list[Received], now: Moment) -> Iterator[FetchResult]:
        if not messages:
            return
        trades: list[Trade] = []
        garbage = 0
        for message in messages:
            try:
                trade = trade_of(message.frame, message.at)
            except Garbage as error:
                garbage += 1
                log.debug("stream_garbage", detail=str(error)[:300])
            else:
                trades += [] if trade is None else [trade]
        result = self._reconciler.received(trades, garbage, now, at=messages[-1].at)
        if result is not None:
            yield result

    def _poll(self, began: Moment) -> None:
        self._events.put(Polled(began, self._poller.fetch(began.due, began.at)))

    def _start(self, name: str, action: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                action()
            except BaseException as error:  # noqa: BLE001  (the listening thread raises it)
                self._events.put(Crashed(error))

        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread

    def _log(self, before: Gap | None, now: Moment) -> None:
        """Log a gap when it begins and when it is filled."""
        gap = self._reconciler.gap
        if before is None and gap is not None:
            log.warning("stream_gap", reason=gap.reason, action="polls replace the stream until it is back")
        elif before is not None and gap is None:
            log.info("stream_gap_filled", reason=before.reason, seconds=round(now.uptime - before.since, 1))
