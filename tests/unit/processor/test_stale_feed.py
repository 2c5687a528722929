"""Which silences are stale feeds, and when a lane raises alerts about them."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from math import exp
from random import Random

import pytest
from msgspec.structs import replace

from processor_lambda.alerts import StaleFeed
from quotes import Line
from tests.fakes.pipeline import make_quote
from tests.support.lane_folding import DAY, fold_batches, heartbeat, in_order, regular_quote
from tests.support.sizes import sized

STALE = StaleFeed(minutes=15, intervals=0, severity="critical")


def test_symbols_of_an_open_market_that_become_stale_at_one_heartbeat_are_one_alert() -> None:
    quotes = [regular_quote(symbol, 0) for symbol in ("AAPL", "MSFT", "GOOG")]
    heartbeats = [heartbeat(minute * 60) for minute in range(1, 40)]
    [alert] = fold_batches([*quotes, *heartbeats], rules=[STALE]).alerts
    assert alert.subject == "3 symbols have had no new price for 16 minutes: AAPL, GOOG, MSFT"
    assert alert.symbols == ("AAPL", "GOOG", "MSFT")
    assert alert.id == "stale_feed:lane-00-of-02:2026-11-23T14:46:00.000Z"


@pytest.mark.parametrize(
    "quote",
    [
        make_quote(),
        replace(make_quote(), market_state="CLOSED"),
        replace(make_quote(), market_state="REGULAR", delay_minutes=20),
    ],
    ids=["no market state", "closed", "within its declared delay"],
)
def test_a_symbol_that_may_be_silent_is_not_stale(quote: Line) -> None:
    heartbeats = [heartbeat(minute * 60) for minute in range(1, 30)]
    assert fold_batches([quote, *heartbeats], rules=[STALE]).alerts == []


def test_a_feed_that_returns_and_stops_again_is_stale_again_after_the_cooldown() -> None:
    heartbeats = [heartbeat(minute * 60) for minute in range(1, 20)]
    later = [heartbeat(minute * 60) for minute in range(21, 100)]
    lines = [regular_quote("AAPL", 0), *heartbeats, regular_quote("AAPL", 1200), *later]
    assert [alert.timestamp[11:16] for alert in fold_batches(lines, rules=[STALE]).alerts] == ["14:46", "15:46"]


def test_an_outage_is_a_few_alerts_of_a_lane_and_a_large_one_does_not_wait_for_the_cooldown() -> None:
    """Symbols become stale at different times. Many more than were announced, or half of all, are announced at once."""
    quotes = [regular_quote(f"S{n}", n * 60) for n in range(30)]
    heartbeats = [heartbeat(minute * 60 + 1) for minute in range(1, 180)]
    alerts = fold_batches(in_order([*quotes, *heartbeats]), rules=[STALE]).alerts
    announced = [(alert.timestamp[11:16], int(alert.values["count"])) for alert in alerts]
    assert announced == [("14:45", 1), ("14:49", 4), ("15:04", 15), ("16:04", 10)]


@pytest.mark.parametrize("others", [1, 3, 100])
@pytest.mark.parametrize("halted", [1, 40])
def test_halted_symbols_do_not_hide_an_outage(halted: int, others: int) -> None:
    """The market of the halted symbols closes later."""
    quotes = [regular_quote(f"HALT{n}", second) for n in range(halted) for second in range(60)]
    quotes += [regular_quote(f"S{n}", second) for n in range(others) for second in range(n % 7, 20 * 60, 10)]
    closed = [replace(regular_quote(f"HALT{n}", 59, revision=1), market_state="CLOSED") for n in range(halted)]
    before = in_order([*quotes, *(heartbeat(minute * 60 + 1) for minute in range(1, 18))])
    after = [heartbeat(minute * 60 + 1) for minute in range(18, 50)]
    halt, outage = fold_batches([*before, *closed, *after], rules=[STALE]).alerts
    assert (halt.timestamp[11:16], int(halt.values["count"])) == ("14:46", halted)
    assert (outage.timestamp[11:16], int(outage.values["count"])) == ("15:05", others)


@pytest.mark.parametrize(
    ("returned", "announced"), [(False, ["AAPL", "MSFT"]), (True, ["AAPL"])], ids=["still stale", "returned"]
)
def test_symbols_that_are_still_stale_after_a_cooldown_are_announced_then(
    announced: list[str], *, returned: bool
) -> None:
    quotes = [regular_quote("AAPL", 0), regular_quote("MSFT", 180)]
    quotes += [regular_quote("MSFT", 70 * 60)] if returned else []
    quotes += [regular_quote(symbol, minute * 60) for symbol in ("GOOG", "NVDA", "TSLA") for minute in range(80)]
    lines = in_order([*quotes, *(heartbeat(minute * 60) for minute in range(4, 80))])
    assert [alert.symbol for alert in fold_batches(lines, rules=[STALE]).alerts] == announced


INTERVALS = {
    "1 s": ([1] * 900, 15),
    "a poll a minute": ([60] * 60, 15),
    "five minutes": ([300] * 50, 20),
    "half an hour": ([1800] * 30, 120),
    "bursts with 40 minutes between them": (([5] * 40 + [2400]) * 9, 160),
    "a few at first": ([10] * 5, 15),
}


@pytest.mark.parametrize(("intervals", "minutes"), INTERVALS.values(), ids=INTERVALS)
def test_how_long_a_symbol_may_be_silent_depends_on_its_usual_interval(intervals: list[int], minutes: int) -> None:
    times = [0, *accumulate(intervals)]
    quotes = [regular_quote("AAPL", time) for time in times]
    heartbeats = [heartbeat(times[-1] + minute * 60) for minute in range(1, 400)]
    [alert] = fold_batches([*quotes, *heartbeats], rules=[StaleFeed()]).alerts
    assert alert.values["minutes"] == pytest.approx(minutes, rel=0.1)
    assert alert.values["threshold"] == pytest.approx(minutes, rel=0.1)


def test_a_night_does_not_count_as_an_interval_and_an_outage_at_most_doubles_it() -> None:
    first = [regular_quote("AAPL", n * 10) for n in range(8000)]
    closing = regular_quote("AAPL", 79990, revision=1, market_state="CLOSED")
    opening = regular_quote("AAPL", 79990, revision=2, ingest_time=make_quote(second=DAY).ingest_time)
    second = [regular_quote("AAPL", DAY + n * 10) for n in range(1, 10)]

    def interval_ms(*lines: Line) -> int:
        return fold_batches(lines).state.symbols["AAPL"].interval_ms

    before = interval_ms(*first)
    assert before == pytest.approx(225_000 * exp(-8 / 9 * 25 / 30), rel=0.3)
    assert interval_ms(*first, closing, opening, *second) == pytest.approx(before, rel=0.01)
    assert interval_ms(*first, regular_quote("AAPL", 79990 + 7200)) == pytest.approx(2 * before, rel=0.01)


def test_symbols_that_trade_rarely_raise_nothing_once_they_are_known() -> None:
    """Symbols trade at random, on average every 5 s to an hour, for 30 hours. The rule has its defaults."""
    rng = Random(8)
    lines: list[Line] = []
    for n in range(sized(8, 100)):
        mean, second = 5 * 720 ** rng.random(), 0.0
        while (second := second + max(30, rng.expovariate(1 / mean))) < 30 * 3600:
            lines.append(regular_quote(f"S{n}", round(second, 3)))
    lines += [heartbeat(minute * 60) for minute in range(1, 30 * 60 + 1)]
    alerts = fold_batches(in_order(lines), rules=[StaleFeed()]).alerts
    by_hour = Counter(alert.timestamp[:13] for alert in alerts)
    assert by_hour.total() <= 8
    assert sum(count for hour, count in by_hour.items() if hour > "2026-11-23T20") <= 1  # once they are known


def test_a_market_that_closes_ends_the_silence() -> None:
    _, alerts, state = fold_batches(
        [
            regular_quote("AAPL", 0),
            heartbeat(1200),
            replace(make_quote(revision=1), market_state="CLOSED"),
            heartbeat(9000),
        ],
        rules=[STALE],
    )
    assert len(alerts) == 1
    assert state.symbols["AAPL"].alert_states == {}


def test_after_an_open_the_silence_counts_from_the_open() -> None:
    """A revision of the last quote comes at the open. It says that the market is open, and has yesterday's price."""
    closing = replace(make_quote(), market_state="CLOSED")
    opening = regular_quote("AAPL", 0, revision=1, ingest_time=make_quote(second=DAY).ingest_time)
    lines = [closing, heartbeat(60), heartbeat(DAY - 30), opening]
    heartbeats = [heartbeat(DAY + minute * 60) for minute in range(1, 40)]
    alerts = fold_batches([*lines, *heartbeats], rules=[STALE]).alerts
    assert [alert.subject for alert in alerts] == ["AAPL has had no new price for 16 minutes"]


def test_a_revision_does_not_open_an_open_market_again() -> None:
    """Otherwise a feed that only repeats itself under new revisions would never be stale."""
    revised = [
        regular_quote("AAPL", 0, revision=n, ingest_time=make_quote(second=n * 60).ingest_time) for n in range(1, 30)
    ]
    heartbeats = [heartbeat(minute * 60 + 1) for minute in range(1, 30)]
    lines = [line for pair in zip(revised, heartbeats, strict=True) for line in pair]
    assert len(fold_batches([regular_quote("AAPL", 0), *lines], rules=[STALE]).alerts) == 1


def test_a_symbol_that_is_no_longer_polled_raises_one_alert() -> None:
    heartbeats = [heartbeat(minute * 60) for minute in range(1, 3 * 24 * 60)]
    assert len(fold_batches([regular_quote("AAPL", 0), *heartbeats], rules=[STALE]).alerts) == 1


def test_a_symbol_that_has_been_stale_for_days_is_not_announced_again_by_a_rule_that_is_new() -> None:
    assert fold_batches([regular_quote("AAPL", 0), heartbeat(3 * DAY)], rules=[STALE]).alerts == []
