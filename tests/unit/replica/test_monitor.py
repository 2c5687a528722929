"""What the monitor says of the last prices."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from msgspec.structs import replace

from quotes import Quote, encode
from replica.event_source import InvocationReport, Record
from replica.monitor import Monitor, Price, price_of

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


def test_the_snapshot_has_the_last_price_of_each_symbol_and_the_longest_delay() -> None:
    vod = replace(AAPL, symbol="VOD.L", delay_minutes=15)
    data = encode([vod, AAPL, replace(AAPL, revision=1, price=Decimal(14))])
    record = Record(
        shard_id="0", sequence_number="1", partition_key="lane", data=data, approximate_arrival_timestamp=NOW
    )
    monitor = Monitor()
    monitor.on_batch(
        InvocationReport(
            shard_id="0",
            records=(record,),
            started_at=NOW,
            finished_at=NOW,
            started_monotonic=0.0,
            finished_monotonic=0.0,
            result="success",
            detail=None,
            retries=0,
            finished=1,
        )
    )
    snapshot = monitor.snapshot()
    assert (snapshot.stored, snapshot.delay_minutes) == (3, 15)
    assert [(price.symbol, price.text) for price in snapshot.prices] == [("AAPL", "14"), ("VOD.L", "13.40")]
