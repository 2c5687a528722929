"""Bars, lateness, splits and alerts: what the lines of a lane make of its state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate, pairwise
from math import exp
from random import Random
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from lane_state import WHOLE, Alert, Bar, LaneState, Position, pack
from processor_lambda import fold as fold_
from processor_lambda.alerts import PriceMove, Rsi, Rule, Rules, SmaCrossover, Split, StaleFeed, VolumeSpike
from processor_lambda.fold import Fold, PositionedLine
from processor_lambda.indicators import Indicators
from quotes import Heartbeat, Line, decode, encode_line
from tests.fakes.pipeline import OPEN, make_heartbeats, make_quote

MOVE = PriceMove(percent=5, cooldown_minutes=0)
DAY = 86_400


def arrived(lines: Sequence[Line], sequence: int = 0) -> list[PositionedLine]:
    return [
        PositionedLine(Position(sequence, number), encode_line(line)[:-1], line) for number, line in enumerate(lines, 1)
    ]


def run(
    *batches: Sequence[Line], rules: Sequence[Rule] = (MOVE,), warm: Mapping[str, Indicators] = MappingProxyType({})
) -> tuple[list[Bar], list[Alert], LaneState]:
    """Everything that some batches show, in order, and the state they leave."""
    fold = Fold(Rules(replace(rule, name=rule.id) for rule in rules))
    state = LaneState()
    bars: list[Bar] = []
    alerts: list[Alert] = []
    for sequence, lines in enumerate(batches):
        left = arrived(lines, sequence)
        while left or state.position < Position(sequence, WHOLE):
            folded = fold(state, left, Position(sequence, WHOLE), warm)
            state, left = folded.state, left[folded.count :]
            bars += [item.bar for item in state.pending if item.bar]
            alerts += [item.alert for item in state.pending if item.alert]
    return bars, alerts, state


def heartbeat(second: float) -> Line:
    return make_heartbeats(second)[0]


def test_a_bar_is_the_minutes_first_highest_lowest_and_last_price() -> None:
    lines = [make_quote(second=s, price=p) for s, p in ((1, "10"), (2, "12"), (30, "9"), (59.999, "11"))]
    [bar], _, _ = run([*lines, heartbeat(60)])
    assert (bar.open, bar.high, bar.low, bar.close, bar.quotes) == (
        Decimal(10),
        Decimal(12),
        Decimal(9),
        Decimal(11),
        4,
    )


def test_a_bar_is_closed_by_a_quote_of_a_later_minute_or_by_a_heartbeat_past_its_end() -> None:
    assert [bar.minute.minute for bar in run([make_quote(second=0), make_quote(second=60)])[0]] == [30]
    assert run([make_quote(second=0), heartbeat(59.999)])[0] == []
    assert len(run([make_quote(second=0), heartbeat(60)])[0]) == 1


def test_a_quote_of_a_closed_minute_moves_no_bar() -> None:
    bars, _, state = run([make_quote(second=0), heartbeat(60), make_quote(second=59, price="999"), heartbeat(120)])
    assert [bar.high for bar in bars] == [Decimal(100)]
    assert state.symbols["AAPL"].price == Decimal(100)


def test_a_heartbeat_no_later_than_the_lanes_last_moves_nothing() -> None:
    early = make_heartbeats(10)[0]
    _, _, state = run([heartbeat(120), early])
    assert state.complete_to == heartbeat(120).clock  # type: ignore[union-attr]


def test_a_later_revision_at_the_newest_time_moves_the_bar() -> None:
    [bar], _, _ = run([make_quote(price="100"), make_quote(price="90", revision=1), heartbeat(60)])
    assert (bar.low, bar.close, bar.quotes) == (Decimal(90), Decimal(90), 2)


@pytest.mark.parametrize(
    ("volumes", "traded"),
    [
        ((0, 500), 500),
        ((1_000, 1_000), 0),
        ((1_000, 1_250, 1_300), 300),
        ((1_000, 990, 1_010), 20),  # a correction is no trade
        ((9_000_000, 40), 40),  # starts from zero
        ((None, None), None),
        ((100, None, 150), 50),
    ],
)
def test_a_bars_volume_comes_from_the_days_cumulative_one(volumes: tuple[int | None, ...], traded: int | None) -> None:
    lines = [make_quote(second=second, volume=volume) for second, volume in enumerate(volumes)]
    [bar], _, _ = run([*lines, heartbeat(60)])
    assert bar.volume == traded


@pytest.mark.parametrize(
    ("volume", "previous_close", "traded"),
    [
        (200, "99", 200),  # less than the day before, though not by half: of a thin symbol
        (200, "98", 200),
        (450, "99", 450),  # more than the day before by the first quote of the day
        (450, "98", 150),  # one that said little all day, until the other close tells
        (300, "98", 0),
    ],
)
def test_a_day_starts_from_zero(volume: int, previous_close: str, traded: int) -> None:
    friday = make_quote(volume=300, previous_close="98")
    monday = make_quote(second=3 * DAY, volume=volume, previous_close=previous_close)
    bars, _, _ = run([friday, monday, heartbeat(3 * DAY + 60)])
    assert [bar.volume for bar in bars] == [0, traded]


@pytest.mark.parametrize(
    ("volume", "previous_close"), [(9900, "98"), (10_000, "98.1"), (9900, "98.1")], ids=["volume", "close", "both"]
)
def test_a_correction_after_hours_without_a_trade_is_no_new_day(volume: int, previous_close: str) -> None:
    first = regular("AAPL", 0, volume=10_000, previous_close=Decimal(98))
    second = regular("AAPL", 20_000, volume=volume, previous_close=Decimal(previous_close))
    assert [bar.volume for bar in run([first, second, heartbeat(20_100)])[0]] == [0, 0]


def test_before_the_open_the_volume_is_that_of_the_day_before() -> None:
    evening = replace(make_quote(volume=500, previous_close="97"), market_state="POST")
    morning = [
        replace(make_quote(second=DAY / 2 + n, volume=510, previous_close="98"), market_state="PRE") for n in range(2)
    ]
    opening = replace(make_quote(second=DAY, volume=300, previous_close="98"), market_state="REGULAR")
    bars, _, _ = run([evening, *morning, opening, heartbeat(DAY + 60)])
    assert [bar.volume for bar in bars] == [0, 10, 300]


def test_the_volume_behind_a_gap_is_no_spike() -> None:
    """After an outage a bar holds what was traded in all of it; a symbol that trades each half an hour has no gap."""
    for step, gap, is_spike in ((60, 60, True), (60, 3600, False), (1800, 1800, True)):
        times = [n * step for n in range(30)]
        times.append(times[-1] + gap)
        lines = [regular("AAPL", time, volume=100 * n) for n, time in enumerate(times[:-1])]
        lines.append(regular("AAPL", times[-1], volume=2_900 + 5_000))
        _, alerts, _ = run([*lines, heartbeat(times[-1] + 60)], rules=[VolumeSpike()])
        assert bool(alerts) is is_spike


def test_volume_between_two_bars_belongs_to_the_later() -> None:
    lines = [make_quote(second=0, volume=100), make_quote(second=30, volume=150), make_quote(second=61, volume=400)]
    bars, _, _ = run([*lines, heartbeat(120)])
    assert [bar.volume for bar in bars] == [50, 250]


def test_an_alert_is_raised_by_the_first_quote_beyond_the_threshold_and_again_after_a_return() -> None:
    prices = ["100", "105", "105.01", "106", "104", "94", "93"]
    lines = [make_quote(second=s, price=p, previous_close="100") for s, p in enumerate(prices)]
    _, alerts, _ = run(lines)
    assert [(alert.timestamp[17:19], alert.subject) for alert in alerts] == [
        ("02", "AAPL moved +5.01% to 105.01"),
        ("05", "AAPL moved -6.00% to 94"),
    ]
    assert alerts[0].id == "price_move:AAPL:2026-11-23T14:30:02.000Z"


def test_an_alert_is_raised_on_each_side_of_the_threshold() -> None:
    prices = ["107", "93", "94", "108", "100", "100"]
    _, alerts, _ = run([make_quote(second=s, price=p, previous_close="100") for s, p in enumerate(prices)])
    assert [alert.subject for alert in alerts] == [
        "AAPL moved +7.00% to 107",
        "AAPL moved -7.00% to 93",
        "AAPL moved +8.00% to 108",
    ]


def test_a_second_day_beyond_the_threshold_is_news_against_its_own_previous_close() -> None:
    friday = [make_quote(second=s, price="107", previous_close="100") for s in (0, 1)]
    monday = [make_quote(second=3 * 86_400 + s, price="115", previous_close="107") for s in (0, 1)]
    _, alerts, _ = run([*friday, *monday])
    assert [alert.subject for alert in alerts] == ["AAPL moved +7.00% to 107", "AAPL moved +7.48% to 115"]


def test_a_market_that_never_closes_has_its_days_in_utc() -> None:
    midnight = 34_200
    sunday = make_quote(second=midnight - 60, price="107", previous_close="100")
    monday = make_quote(second=midnight + 60, price="115", previous_close="107")
    assert len(run([sunday, monday])[1]) == 2


def test_a_previous_close_that_is_corrected_within_the_day_raises_nothing_anew() -> None:
    closes = ["100", "100.1", "100", "100.1"]
    lines = [make_quote(second=s, price="107", previous_close=close) for s, close in enumerate(closes)]
    assert len(run(lines)[1]) == 1


def test_a_change_that_is_not_known_neither_raises_nor_ends_an_anomaly() -> None:
    lines = [
        make_quote(second=0, price="110", previous_close="100"),
        make_quote(second=1, price="110"),
        make_quote(second=2, price="110", previous_close="0"),
        make_quote(second=3, price="110", previous_close="100"),
    ]
    assert len(run(lines)[1]) == 1


def test_publications_are_numbered_without_gaps_across_batches() -> None:
    fold, state = Fold(Rules(())), LaneState()
    numbers = []
    for minute in range(5):
        lines = arrived([make_quote(symbol, second=minute * 60) for symbol in ("AAPL", "MSFT")], minute)
        state = fold(state, lines, Position(minute, WHOLE), {}).state
        numbers += [item.number for item in state.pending]
    assert numbers == list(range(1, 9))


def test_a_fold_ends_behind_the_line_that_decides_as_much_as_a_commit_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold_, "MAX_PUBLICATIONS", 3)
    lines = arrived([make_quote(second=minute * 60) for minute in range(10)])
    folded = Fold(Rules(()))(LaneState(), lines, Position(0, WHOLE), {})
    assert (folded.count, len(folded.state.pending), folded.state.position) == (4, 3, Position(0, 4))


def test_the_last_line_of_a_minute_is_kept_for_its_row_if_asked() -> None:
    lines = [make_quote(second=1), make_quote(second=2, price="101"), heartbeat(60)]
    for keep, line in ((True, encode_line(lines[1])[:-1]), (False, b"")):
        folded = Fold(Rules(()), keep_lines=keep)(LaneState(), arrived(lines), Position(0, WHOLE), {})
        assert [item.bar.line for item in folded.state.pending if item.bar] == [line]


def test_of_a_line_that_is_stuffed_only_what_it_says_is_kept() -> None:
    """Blanks between its fields, and fields said again and again, are a good line of up to a mebibyte."""
    quote = make_quote()
    line = encode_line(quote)[:-1]
    stuffing = b"".join(b'"revision":%d,' % number for number in range(10_000))
    arrived = PositionedLine(
        Position(0, 1), line.replace(b'"ingest_time"', stuffing + b'"revision":0,"ingest_time"'), quote
    )
    assert decode(arrived.content).good[0].line == quote
    state = Fold(Rules(()), keep_lines=True)(LaneState(), [arrived], Position(0, WHOLE), {}).state
    assert state.symbols["AAPL"].bar is not None
    assert decode(state.symbols["AAPL"].bar.line).good[0].line == quote
    assert len(pack(state)) < 1_000


def test_a_bar_shows_the_indicators_that_are_known_at_its_close() -> None:
    bars, _, _ = run([make_quote(second=minute * 60, price=str(100 + minute)) for minute in range(31)])
    assert "sma_5" not in bars[3].indicators
    assert bars[4].indicators["sma_5"] == 102
    assert bars[29].indicators["sma_20"] == 119.5
    assert {"ema_26", "macd", "rsi_14", "bollinger_upper"} <= bars[29].indicators.keys()


def test_a_symbol_that_is_new_begins_with_the_indicators_it_is_given() -> None:
    warm = Indicators()
    for minute in range(4):
        warm = warm.advanced(make_quote(second=minute * 60 - 3600).event_time, 100.0, None)
    folded = Fold(Rules(()))(
        LaneState(), arrived([make_quote(price="110"), heartbeat(60)]), Position(0, WHOLE), {"AAPL": warm}
    )
    [bar] = [item.bar for item in folded.state.pending if item.bar]
    assert bar.indicators["sma_5"] == 102


def test_what_moved_nothing_is_counted_as_late() -> None:
    lines = arrived(
        [make_quote(second=5), make_quote(second=4), make_quote(second=5), heartbeat(60), make_quote(second=6)]
    )
    assert Fold(Rules(()))(LaneState(), lines, Position(0, WHOLE), {}).late == 3


def day(number: int, price: str, previous_close: str) -> Line:
    return make_quote(second=number * 86_400, price=price, previous_close=previous_close)


def test_a_split_rescales_what_is_remembered_and_says_so() -> None:
    before = [make_quote(second=minute * 60, price="200", previous_close="199") for minute in range(5)]
    bars, alerts, _ = run([*before, day(1, "51", "50.1"), heartbeat(86_460)], rules=[MOVE, Split()])
    assert [(alert.severity, alert.subject) for alert in alerts] == [
        ("info", "AAPL split 4 for 1: its indicators are rescaled")
    ]
    assert bars[-1].indicators["sma_5"] == pytest.approx((50 * 4 + 51) / 5)


@pytest.mark.parametrize(
    ("price", "previous_close"),
    [("100", "100"), ("199", "50"), ("51", "200"), ("190", "198"), ("165", "160.5")],
    ids=["halved in price alone would be 2 for 1", "a wrong previous close", "a crash", "a usual day", "no ratio"],
)
def test_what_only_looks_like_a_split_rescales_nothing(price: str, previous_close: str) -> None:
    is_split = (price, previous_close) == ("100", "100")  # both tell of it
    _, alerts, _ = run([day(0, "200", "199"), day(1, price, previous_close)], rules=[Split()])
    assert bool(alerts) is is_split


def test_after_a_long_silence_a_halved_price_is_no_split() -> None:
    assert run([day(0, "200", "199"), day(30, "100", "100")], rules=[Split()])[1] == []


STALE = StaleFeed(minutes=15, intervals=0, severity="critical")


def regular(symbol: str, second: float, **changes: object) -> Line:
    return replace(make_quote(symbol, second), **{"market_state": "REGULAR"} | changes)


def test_symbols_that_fall_silent_in_an_open_market_are_one_alert_a_heartbeat() -> None:
    quiet = [regular(symbol, 0) for symbol in ("AAPL", "MSFT", "GOOG")]
    beats = [heartbeat(minute * 60) for minute in range(1, 40)]
    _, alerts, _ = run([*quiet, *beats], rules=[STALE])
    [alert] = alerts
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
    ids=["no market state", "closed", "as late as declared"],
)
def test_a_symbol_that_may_be_silent_is_not_stale(quote: Line) -> None:
    assert run([quote, *(heartbeat(minute * 60) for minute in range(1, 30))], rules=[STALE])[1] == []


def test_a_feed_that_came_back_and_stops_again_is_stale_again_after_the_cooldown() -> None:
    beats = [heartbeat(minute * 60) for minute in range(1, 20)]
    later = [heartbeat(minute * 60) for minute in range(21, 100)]
    _, alerts, _ = run([regular("AAPL", 0), *beats, regular("AAPL", 1200), *later], rules=[STALE])
    assert [alert.timestamp[11:16] for alert in alerts] == ["14:46", "15:46"]


def test_an_outage_is_few_alerts_of_a_lane_and_a_large_one_does_not_wait_for_the_cooldown() -> None:
    """Each symbol falls silent at its own time: many more than were told, or half of all, are told at once."""
    quiet = [regular(f"S{n}", n * 60) for n in range(30)]
    lines = sorted([*quiet, *(heartbeat(minute * 60 + 1) for minute in range(1, 180))], key=_time_of)
    _, alerts, _ = run(lines, rules=[STALE])
    told = [(alert.timestamp[11:16], int(alert.values["count"])) for alert in alerts]
    assert told == [("14:45", 1), ("14:49", 4), ("15:04", 15), ("16:04", 10)]


@pytest.mark.parametrize("others", [1, 3, 100])
@pytest.mark.parametrize("halted", [1, 40])
def test_silent_symbols_do_not_hide_an_outage(halted: int, others: int) -> None:
    """Be they halted, or of a market that has closed since."""
    quotes = [regular(f"HALT{n}", second) for n in range(halted) for second in range(60)]
    quotes += [regular(f"S{n}", second) for n in range(others) for second in range(n % 7, 20 * 60, 10)]
    closed = [replace(regular(f"HALT{n}", 59, revision=1), market_state="CLOSED") for n in range(halted)]
    before = sorted([*quotes, *(heartbeat(minute * 60 + 1) for minute in range(1, 18))], key=_time_of)
    _, alerts, _ = run([*before, *closed, *(heartbeat(minute * 60 + 1) for minute in range(18, 50))], rules=[STALE])
    halt, outage = alerts
    assert (halt.timestamp[11:16], int(halt.values["count"])) == ("14:46", halted)
    assert (outage.timestamp[11:16], int(outage.values["count"])) == ("15:05", others)


@pytest.mark.parametrize(("spoke", "told"), [(False, ["AAPL", "MSFT"]), (True, ["AAPL"])])
def test_of_the_silences_in_a_cooldown_those_are_told_that_outlast_it(spoke: bool, told: list[str]) -> None:  # noqa: FBT001  (a parameter)
    quotes = [regular("AAPL", 0), regular("MSFT", 180), *([regular("MSFT", 70 * 60)] if spoke else [])]
    quotes += [regular(symbol, minute * 60) for symbol in ("GOOG", "NVDA", "TSLA") for minute in range(80)]
    lines = sorted([*quotes, *(heartbeat(minute * 60) for minute in range(4, 80))], key=_time_of)
    assert [alert.symbol for alert in run(lines, rules=[STALE])[1]] == told


INTERVALS = {
    "1 s": ([1] * 900, 15),
    "a poll a minute": ([60] * 60, 15),
    "five minutes": ([300] * 50, 20),
    "half an hour": ([1800] * 30, 120),
    "bursts, and 40 minutes between them": (([5] * 40 + [2400]) * 9, 160),
    "a few at first": ([10] * 5, 15),
}


@pytest.mark.parametrize(("intervals", "minutes"), INTERVALS.values(), ids=INTERVALS)
def test_a_symbol_is_stale_by_its_own_usual_interval(intervals: list[int], minutes: int) -> None:
    times = [0, *accumulate(intervals)]
    beats = [heartbeat(times[-1] + minute * 60) for minute in range(1, 400)]
    [alert] = run([*(regular("AAPL", time) for time in times), *beats], rules=[StaleFeed()])[1]
    assert alert.values["minutes"] == pytest.approx(minutes, rel=0.1)
    assert alert.values["threshold"] == pytest.approx(minutes, rel=0.1)


def test_a_night_is_no_interval_and_an_outage_is_hardly_one() -> None:
    first = [regular("AAPL", n * 10) for n in range(8000)]
    closing = regular("AAPL", 79990, revision=1, market_state="CLOSED")
    opening = regular("AAPL", 79990, revision=2, ingest_time=make_quote(second=DAY).ingest_time)
    second = [regular("AAPL", DAY + n * 10) for n in range(1, 10)]
    before = run(first)[2].symbols["AAPL"].interval_ms
    assert before == pytest.approx(225_000 * exp(-8 / 9 * 25 / 30), rel=0.3)
    assert run([*first, closing, opening, *second])[2].symbols["AAPL"].interval_ms == pytest.approx(before, rel=0.01)
    assert run([*first, regular("AAPL", 79990 + 7200)])[2].symbols["AAPL"].interval_ms == pytest.approx(
        2 * before, rel=0.01
    )


def test_rare_traders_raise_nothing_once_they_are_known() -> None:
    """100 symbols that trade every 5 s to an hour on average, at random, through 30 hours; by the rule's defaults."""
    chance = Random(8)
    lines: list[Line] = []
    for n in range(100):
        mean, second = 5 * 720 ** chance.random(), 0.0
        while (second := second + max(30, chance.expovariate(1 / mean))) < 30 * 3600:
            lines.append(regular(f"S{n}", round(second, 3)))
    lines += [heartbeat(minute * 60) for minute in range(1, 30 * 60 + 1)]
    hours = Counter(alert.timestamp[:13] for alert in run(sorted(lines, key=_time_of), rules=[StaleFeed()])[1])
    assert hours.total() <= 8
    assert sum(count for hour, count in hours.items() if hour > "2026-11-23T20") <= 1  # once they are known


def _time_of(line: Line) -> datetime:
    return line.clock if isinstance(line, Heartbeat) else line.event_time


def test_a_market_that_closes_ends_the_silence() -> None:
    _, alerts, state = run(
        [regular("AAPL", 0), heartbeat(1200), replace(make_quote(revision=1), market_state="CLOSED"), heartbeat(9000)],
        rules=[STALE],
    )
    assert len(alerts) == 1
    assert state.symbols["AAPL"].alert_states == {}


def test_a_market_that_opens_gives_its_symbols_time_for_their_first_price() -> None:
    """At the open the last quote comes again, revised: its market is open, its price of the day before."""
    closing = replace(make_quote(), market_state="CLOSED")
    opening = regular("AAPL", 0, revision=1, ingest_time=make_quote(second=DAY).ingest_time)
    lines = [closing, heartbeat(60), heartbeat(DAY - 30), opening]
    _, alerts, _ = run([*lines, *(heartbeat(DAY + minute * 60) for minute in range(1, 40))], rules=[STALE])
    assert [alert.subject for alert in alerts] == ["AAPL has had no new price for 16 minutes"]


def test_an_open_market_is_not_told_anew_by_each_quote() -> None:
    """Else a feed that only repeats itself under new revisions would never be stale."""
    revised = [regular("AAPL", 0, revision=n, ingest_time=make_quote(second=n * 60).ingest_time) for n in range(1, 30)]
    beats = [heartbeat(minute * 60 + 1) for minute in range(1, 30)]
    lines = [line for pair in zip(revised, beats, strict=True) for line in pair]
    assert len(run([regular("AAPL", 0), *lines], rules=[STALE])[1]) == 1


def test_a_symbol_that_is_polled_no_more_is_told_once() -> None:
    beats = [heartbeat(minute * 60) for minute in range(1, 3 * 24 * 60)]
    assert len(run([regular("AAPL", 0), *beats], rules=[STALE])[1]) == 1


def test_a_symbol_that_was_silent_for_long_is_forgotten_and_others_are_not() -> None:
    lines = [make_quote("AAPL"), make_quote("MSFT", 29 * DAY), heartbeat(31 * DAY)]
    _, _, state = run(lines)
    assert list(state.symbols) == ["MSFT"]


def test_a_late_quote_of_a_forgotten_symbol_moves_nothing() -> None:
    lines = [make_quote(), heartbeat(31 * DAY)]
    bars, _, state = run([*lines, make_quote(), make_quote(second=30)])
    assert len(bars) == 1
    assert state.symbols == {}


def a_quote(
    symbol: str, second: float, price: int, volume: int | None, revision: int, *, is_open: bool, split: bool
) -> Line:
    """From the third minute on, prices may be in the shares of after a split."""
    is_split = split and second > 120
    made = make_quote(
        symbol,
        second,
        f"{price / 2 if is_split else price}",
        volume=volume,
        revision=revision,
        previous_close="50" if is_split else "100",
    )
    return replace(made, market_state="REGULAR" if is_open else "CLOSED")


def _after_minutes(count: int) -> Indicators:
    indicators = Indicators()
    for minute in range(-count, 0):
        indicators = indicators.advanced(OPEN + timedelta(minutes=minute), 100 + minute % 7 / 10, 100)
    return indicators


quotes = st.builds(
    a_quote,
    symbol=st.sampled_from(["AAPL", "MSFT"]),
    second=st.integers(0, 200),
    price=st.integers(80, 120),
    volume=st.integers(0, 1000) | st.none(),
    revision=st.integers(0, 1),
    is_open=st.sampled_from([True, True, True, False]),
    split=st.booleans(),
)
lines = st.lists(quotes | st.integers(0, 240).map(heartbeat), max_size=40)
EVERY_RULE: Sequence[Rule] = (
    MOVE,
    SmaCrossover(margin_percent=0),
    Rsi(above=55, below=45, cooldown_minutes=1),
    VolumeSpike(ratio=1.1, cooldown_minutes=1),
    StaleFeed(minutes=0.5, intervals=0.1, cooldown_minutes=1),
    Split(),
)
WARM = dict.fromkeys(("AAPL", "MSFT"), _after_minutes(60))
"""Known from the first bar on, or a story of four minutes would judge none of them."""


def test_the_stories_raise_alerts_of_every_rule() -> None:
    """Else what is said of them below would be said of nothing."""
    seen: set[str] = set()

    @given(lines)
    @settings(max_examples=1_000, database=None, derandomize=True)
    def tell(lines: list[Line]) -> None:
        seen.update(alert.rule for alert in run(sorted(lines, key=_time_of), rules=EVERY_RULE, warm=WARM)[1])

    tell()
    assert seen == {rule.id for rule in EVERY_RULE}


@given(lines, st.lists(st.integers(0, 40), max_size=5))
def test_batches_make_no_difference(lines: list[Line], cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(lines)]
    whole = run(lines, rules=EVERY_RULE, warm=WARM)
    cut = run(*(lines[a:b] for a, b in pairwise(edges)), rules=EVERY_RULE, warm=WARM)
    assert whole[:2] == cut[:2]
    assert whole[2].symbols == cut[2].symbols


@given(lines)
def test_a_packet_that_was_sent_twice_is_absorbed(lines: list[Line]) -> None:
    once, twice = run(lines, rules=EVERY_RULE, warm=WARM), run(lines, lines, rules=EVERY_RULE, warm=WARM)
    assert once[:2] == twice[:2]
    assert once[2].symbols == twice[2].symbols
