"""What the monitor says of the last prices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from quotes import Quote, encode
from replica.event_source import InvocationReport, Record
from replica.monitor import Breakdown, Monitor, Price, price_of

NOW = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
AAPL = Quote(symbol="AAPL", event_time=NOW, price=Decimal("13.4"), source="yahoo", ingest_time=NOW)


def test_a_price_has_the_digits_of_its_symbol_and_its_change() -> None:
    assert price_of(AAPL) == Price("AAPL", "13.40", "")
    assert price_of(replace(AAPL, previous_close=Decimal(10))) == Price("AAPL", "13.40", "+34.00 %")
    assert price_of(replace(AAPL, price=Decimal(13), open=Decimal("12.5"))).text == "13.00"
    toyota = replace(AAPL, symbol="7203.T", price=Decimal(2500), previous_close=Decimal(2600))
    assert price_of(toyota) == Price("7203.T", "2,500", "-3.85 %")


def test_a_change_that_rounds_to_nothing_has_no_sign() -> None:
    assert price_of(replace(AAPL, previous_close=Decimal("13.40001"))).change_text == "0.00 %"


def report(quotes: list[Quote], *, arrived: float = 0, started: float = 0, finished: float = 0) -> InvocationReport:
    """An invocation with one record. The times are seconds after the receipt of the quotes."""
    record = Record(
        shard_id="0",
        sequence_number="1",
        partition_key="lane",
        data=encode(quotes),
        approximate_arrival_timestamp=NOW + timedelta(seconds=arrived),
    )
    return InvocationReport(
        shard_id="0",
        records=(record,),
        started_at=NOW + timedelta(seconds=started),
        finished_at=NOW + timedelta(seconds=finished),
        started_monotonic=started,
        finished_monotonic=finished,
        result="success",
        detail=None,
        retries=0,
        finished=1,
    )


def test_the_snapshot_has_the_last_price_of_each_symbol_and_the_longest_delay() -> None:
    vod = replace(AAPL, symbol="VOD.L", delay_minutes=15)
    monitor = Monitor()
    monitor.on_batch(report([vod, AAPL, replace(AAPL, revision=1, price=Decimal(14))]))
    snapshot = monitor.snapshot()
    assert (snapshot.stored, snapshot.delay_minutes) == (3, 15)
    assert [(price.symbol, price.text) for price in snapshot.prices] == [("AAPL", "14"), ("VOD.L", "13.40")]


def test_the_snapshot_says_how_long_a_quote_takes_and_where() -> None:
    monitor = Monitor()
    assert monitor.snapshot().breakdown is None
    monitor.on_batch(report([AAPL] * 998, arrived=0.01, started=0.05, finished=0.12))
    monitor.on_batch(report([AAPL] * 2, arrived=0.5, started=1.0, finished=3.0))
    snapshot = monitor.snapshot()
    assert (snapshot.p50, snapshot.p99, snapshot.p99_9) == (0.12, 0.12, 3.0)
    assert snapshot.breakdown == Breakdown(producer=0.01, event_source=0.04, function=0.07)
