"""Every view and saved query returns the same over compacted tables as over the raw archive, to the digit."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quotes import Action, Heartbeat, Line, Quote
from tests.support.compacted_archives import Arrived, compact, results, write
from tests.support.sizes import sized

DAYS = 10
"""How many days an archive has, the last of which is today."""


SECONDS = st.sampled_from([0, 0.001, 29, 59.999, 3600, 50_000, 86_340, 86_399.999])
"""When in a day: the edges of minutes and of the day."""
DELAYS = st.sampled_from([-60, -0.5, 0, 0.25, 30, 3_000, 86_400, 250_000])
"""When something arrives after its event, in seconds. A clock may be a minute ahead."""
PRICES = st.decimals(-(10**11), 10**12 - 1, places=26).map(lambda price: Decimal(f"{price:.26f}")) | st.sampled_from(
    [Decimal(0), Decimal("171.62"), Decimal("0." + 25 * "0" + "1"), Decimal("999999999999." + 26 * "9")]
)
SYMBOLS = st.sampled_from(["A", "B", "C"])
OFTEN = st.none() | PRICES


@st.composite
def arrivals(draw: st.DrawFn) -> list[Arrived]:
    """Lines with the times at which they arrive, most of them once, some again and later, with other content."""
    first = datetime.combine(datetime.now(UTC).date() - timedelta(days=DAYS - 1), datetime.min.time(), UTC)
    found: list[Arrived] = []

    def received(event_time: datetime) -> datetime:
        # Every arrival has a time of its own, so that copies in one object have an order.
        return event_time + timedelta(seconds=draw(DELAYS), milliseconds=len(found))

    for _ in range(draw(st.integers(1, sized(30, 200)))):
        event_time = first + timedelta(days=draw(st.integers(0, DAYS - 1)), seconds=draw(SECONDS))
        symbol, revision = draw(SYMBOLS), draw(st.integers(0, 2))
        kind = draw(st.sampled_from(["quote"] * 6 + ["split", "dividend", "heartbeat", "refused"]))
        for _ in range(draw(st.sampled_from([1, 1, 2, 3]))):
            at = received(event_time)
            common: dict[str, Any] = {"symbol": symbol, "event_time": event_time, "source": "test", "ingest_time": at}
            if kind == "quote":
                line: Line | bytes = Quote(
                    **common,
                    revision=revision,
                    price=draw(PRICES),
                    previous_close=draw(OFTEN),
                    open=draw(OFTEN),
                    high=draw(OFTEN),
                    low=draw(OFTEN),
                    volume=draw(st.none() | st.integers(0, 10**6)),
                    market_state=draw(st.sampled_from([None, "PRE", "REGULAR"])),
                    source_time=draw(st.sampled_from([None, at])),
                    volume_period=draw(st.sampled_from([None, None, "24h"])),
                )
            elif kind == "split":
                line = Action(**common, action="split", numerator=draw(st.integers(1, 20)), denominator=3)
            elif kind == "dividend":
                line = Action(**common, action="dividend", amount=draw(PRICES).copy_abs() or Decimal(1), currency="USD")
            elif kind == "heartbeat":
                line = Heartbeat(lane=f"lane-00-of-{draw(st.integers(1, 16)):02}", clock=at)
            else:
                line = (
                    b'{"kind":"quarantined","v":1,"shard":"shardId-000000000000","sequence_number":"%d","line":%d,'
                    b'"reason":"no JSON","content":"aGVsbG8="}\n' % (revision, len(found) % 3)
                )
            found.append((at, line))
    return found


@settings(max_examples=sized(2, 5), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lines=arrivals(), open_days=st.integers(0, 4), random=st.randoms(use_true_random=False))
def test_results_are_the_same_with_compacted_tables(lines: list[Arrived], open_days: int, random: Random) -> None:
    with tempfile.TemporaryDirectory() as directory:
        archive = Path(directory)
        write(archive, lines, random)
        today = datetime.now(UTC).date()
        over_raw = results(archive)
        compact(archive, today - timedelta(days=open_days))
        over_tables = results(archive)
        for name, rows in over_raw.items():
            assert over_tables[name] == rows, name


def test_closed_days_are_not_read_from_the_raw_archive(tmp_path: Path) -> None:
    """Their objects may expire. Only the last hour before the open days is read, for quotes ahead of their arrival."""
    today = datetime.now(UTC).date()
    lines: list[Arrived] = [(at, quote(at)) for at in moments(today)]
    write(tmp_path, lines, Random(1))
    compact(tmp_path, today)
    whole = results(tmp_path)
    for hour in (tmp_path / "raw-data").glob("dt=*/hour=*"):
        if hour.parent.name != f"dt={today}":
            shutil.rmtree(hour)
    of_the_raw_lines = {"quote_lines", "quarantined"}
    expired = results(tmp_path)
    assert {name: rows for name, rows in expired.items() if name not in of_the_raw_lines} == {
        name: rows for name, rows in whole.items() if name not in of_the_raw_lines
    }
    assert whole["quotes"]


def moments(today: date) -> list[datetime]:
    midnight = datetime.combine(today, datetime.min.time(), UTC)
    return [midnight - timedelta(hours=7 * hours) for hours in range(-2, 10)]


def quote(at: datetime) -> Quote:
    return Quote(symbol="A", event_time=at, price=Decimal("1.25"), source="test", ingest_time=at)
