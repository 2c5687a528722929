"""Feeds a pipeline with a simulated market: a history at once, and then what a test wants."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from producer_service.session_years import Watched, symbol_items
from producer_service.sources.synthetic import SyntheticSource
from quotes import Heartbeat, Line, Quote, encode, lane_of, partition_key, whole_milliseconds
from watchlist.groups import ALWAYS

SYMBOLS = ("AAPL", "AMZN", "BTC-USD", "ES=F", "EURUSD=X", "MSFT", "NVDA", "SAP.DE", "VOD.L", "7203.T", "^GSPC")
"""Of several exchanges and currencies, with two and four digits, and some with characters that an address encodes."""
ZONE = "America/New_York"
LANES = 4
"""The default of the templates."""
LINES_A_PACKET = 400
RECORDS_A_REQUEST = 100


class MarketFeed:
    """The prices depend only on the seed and on the times of the polls. Every lane gets a heartbeat with each poll."""

    def __init__(self, kinesis: Any, stream: str, symbols: Sequence[str], *, seed: int, session: timedelta) -> None:
        self._kinesis = kinesis
        self._stream = stream
        self._symbols = symbols
        self._source = SyntheticSource(seed=seed, session_seconds=session.total_seconds())
        self._stop = threading.Event()

    def put_history(self, start: datetime, end: datetime, step: timedelta, *, without: str = "") -> None:
        """Put the quotes of a poll every `step`, except those of one symbol."""
        symbols = [symbol for symbol in self._symbols if symbol != without]
        lines: list[Line] = []
        moment = start
        while moment < end:
            lines += self._poll(symbols, moment)
            moment += step
        self._put(lines)

    def put_calendars(self, dynamodb: Any, table: str) -> None:
        """Write what the producer writes for a market that is always open."""
        items = symbol_items({symbol: Watched(ALWAYS, ZONE) for symbol in self._symbols}, {})
        for item in items:
            dynamodb.put_item(TableName=table, Item={name: {"S": text} for name, text in item.items()})

    @contextmanager
    def live(self) -> Iterator[None]:
        """Put a poll a second for as long as the block lasts."""
        self._stop.clear()
        thread = threading.Thread(target=self._run, name="market feed", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def put(self, quote: Quote) -> None:
        """Put a quote of any price, and what tells its lane that nothing older comes."""
        beats = [line for line in _heartbeats(quote.event_time) if line.lane == _lane(quote)]
        self._put([quote, *beats])

    def _run(self) -> None:
        while not self._stop.wait(1):
            self._put(self._poll(self._symbols, datetime.now(UTC)))

    def _poll(self, symbols: Sequence[str], now: datetime) -> list[Line]:
        now = whole_milliseconds(now)
        result = self._source.fetch(symbols, now)
        assert not result.rejected
        return [*result.quotes, *_heartbeats(now)]

    def _put(self, lines: Sequence[Line]) -> None:
        by_lane: dict[str, list[Line]] = {}
        for line in lines:
            by_lane.setdefault(_lane(line), []).append(line)
        records = [
            {"Data": encode(of_lane[first : first + LINES_A_PACKET]), "PartitionKey": key}
            for key, of_lane in by_lane.items()
            for first in range(0, len(of_lane), LINES_A_PACKET)
        ]
        for first in range(0, len(records), RECORDS_A_REQUEST):
            sent = self._kinesis.put_records(
                StreamName=self._stream, Records=records[first : first + RECORDS_A_REQUEST]
            )
            assert sent["FailedRecordCount"] == 0


def _lane(line: Line) -> str:
    return line.lane if isinstance(line, Heartbeat) else partition_key(lane_of(line.symbol, LANES), LANES)


def _heartbeats(moment: datetime) -> list[Heartbeat]:
    return [Heartbeat(lane=partition_key(lane, LANES), clock=moment, complete_to=moment) for lane in range(LANES)]
