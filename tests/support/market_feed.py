"""Feeds a pipeline with a simulated market: a history at once, and then what a test wants."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from producer_service.session_years import Watched, symbol_items
from producer_service.sources.synthetic import SyntheticSource
from quotes import Heartbeat, Line, Quote, encode, lane_of, partition_key, whole_milliseconds
from watchlist.groups import ALWAYS

SYMBOLS = ("AAPL", "AMZN", "BTC-USD", "ES=F", "EURUSD=X", "MSFT", "NVDA", "SAP.DE", "VOD.L", "7203.T", "^GSPC")
"""Of several exchanges and currencies, with two and four digits, and some with characters that an address encodes."""
ZONE = "America/New_York"
SLOWNESS = 30
"""How much slower the market is than that of the demo, whose prices jump every few minutes so that it has alerts."""
LANES = 4
"""The default of the templates."""
LINES_A_PACKET = 400
RECORDS_A_REQUEST = 100


class MarketFeed:
    """The prices depend only on the seed and on the times of the polls. Every lane gets a heartbeat with each poll."""

    def __init__(self, kinesis: Any, stream: str, symbols: Sequence[str], *, seed: int) -> None:
        self._kinesis = kinesis
        self._stream = stream
        self._symbols = symbols
        self._source = SyntheticSource(seed=seed)
        self._first: datetime | None = None

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

    def put(self, quote: Quote) -> None:
        """Put a quote of any price, and what tells its lane that nothing older comes."""
        beats = [line for line in _heartbeats(quote.event_time) if line.lane == _lane(quote)]
        self._put([quote, *beats])

    def _poll(self, symbols: Sequence[str], now: datetime) -> list[Line]:
        """The quotes of a moment, and the heartbeats of all lanes."""
        now = whole_milliseconds(now)
        first = self._first = self._first or now
        result = self._source.fetch(symbols, first + (now - first) / SLOWNESS)
        assert not result.rejected
        quotes = [
            replace(quote, event_time=time, ingest_time=time)
            for quote in result.quotes
            for time in [first + (quote.event_time - first) * SLOWNESS]
        ]
        return [*quotes, *_heartbeats(now)]

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
