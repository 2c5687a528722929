"""`/v1/bars` where minutes are missing: backfilled bars of other lengths, and where each bar comes from."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import query_api.minutes
from bars.keys import bar_key
from bars.resolutions import RESOLUTIONS, span_of
from quotes import to_iso
from tests.fakes.query_ports import QueryWorld
from tests.support.query_bars import MINUTE, at, bar_row, minutes_from, sessions_of, world_of
from tests.support.sizes import sized

OPEN = at("2026-11-23 14:30")
HOUR = timedelta(hours=1)
LENGTHS = {"1m": MINUTE, "5m": 5 * MINUTE, "1h": HOUR, "1d": timedelta(days=1)}
NEW_YORK = ZoneInfo("America/New_York")
SESSION = ("2026-11-23", "2026-11-23 14:30", "2026-11-23 21:00")


def stored(resolution: str, start: datetime, **values: Any) -> dict[str, Any]:
    """A row of a backfill."""
    row = bar_row("AAPL", start, quotes=0, provenance="backfill", source="yahoo", **values)
    return {**row, "key": bar_key(resolution, start)}


def starts(answer: Any) -> list[tuple[str, int, str]]:
    return [(bar["start"][11:16], bar["quotes"], bar["provenance"]) for bar in answer.json()["bars"]]


def all_pages(world: QueryWorld, **parameters: Any) -> list[dict[str, Any]]:
    bars, cursor = [], None
    for _ in range(1_000):
        page = world.get("/v1/bars/AAPL", **parameters, **({"cursor": cursor} if cursor else {})).json()
        bars += page["bars"]
        cursor = page["next"]
        if cursor is None:
            return bars
    raise AssertionError("the pages have no end")


def test_a_minute_says_where_it_comes_from() -> None:
    world = world_of(OPEN)
    world.bars.put(stored("1m", OPEN + MINUTE), bar_row("AAPL", OPEN + 2 * MINUTE, provenance="rebuild"))
    assert starts(world.get("/v1/bars/AAPL", order="asc")) == [
        ("14:30", 2, "stream"),
        ("14:31", 0, "backfill"),
        ("14:32", 2, "rebuild"),
    ]
    lines = world.get("/v1/bars/AAPL", order="asc", format="csv").body.decode().splitlines()
    assert [line.split(",")[7] for line in lines] == ["provenance", "stream", "backfill", "rebuild"]


@pytest.mark.parametrize(
    ("provenances", "expected"),
    [
        (["rebuild"], "rebuild"),
        (["rebuild", "stream"], "stream"),
        (["stream", "backfill", "rebuild"], "backfill"),
    ],
)
def test_a_coarser_bar_has_the_provenance_that_counts_least(provenances: list[str], expected: str) -> None:
    world = world_of()
    for number, provenance in enumerate(provenances):
        world.bars.put(bar_row("AAPL", OPEN + number * MINUTE, provenance=provenance))
    (bar,) = world.get("/v1/bars/AAPL", resolution="5m").json()["bars"]
    assert bar["provenance"] == expected


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_stored_bars_stand_in_for_times_without_minutes(order: str) -> None:
    world = world_of(*minutes_from(OPEN, 5), *minutes_from(OPEN + 10 * MINUTE, 5))
    world.bars.put(*(stored("5m", OPEN + number * 5 * MINUTE) for number in range(4)))
    found = starts(world.get("/v1/bars/AAPL", resolution="5m", order=order))
    assert sorted(found) == [
        ("14:30", 10, "stream"),
        ("14:35", 0, "backfill"),
        ("14:40", 10, "stream"),
        ("14:45", 0, "backfill"),
    ]
    assert found == sorted(found, reverse=order == "desc")


class TestADayWithOneStoredBar:
    """Minutes of a day, and its stored bar. The session is that of New York, from 14:30 to 21:00."""

    WATCHED = at("2026-11-23 20:57")

    def day(self, *minutes: datetime, provenance: str = "stream", quiet: str | None = None) -> tuple[int, str]:
        """The volume and the provenance of the bar of the day."""
        world = world_of(*minutes)
        if provenance != "stream":
            world.bars.put(*(bar_row("AAPL", minute, provenance=provenance) for minute in minutes))
        world.calendars.put(sessions_of("XNYS", 2026, "America/New_York", [SESSION]))
        world.bars.put(stored("1d", at("2026-11-23 05:00"), volume=99_999_999))
        if quiet is not None:
            world.bars.put({"symbol": "AAPL", "key": "asked#1m#2026-11-23T05:00:00.000Z", "without_trades": quiet})
        found = [world.get("/v1/bars/AAPL", resolution="1d", order=order).json()["bars"] for order in ("asc", "desc")]
        assert found[0] == found[1]
        (bar,) = found[0]
        return bar["volume"], bar["provenance"]

    def test_has_that_bar_if_watching_began_before_the_close(self) -> None:
        assert self.day(*minutes_from(self.WATCHED, 3)) == (99_999_999, "backfill")

    @pytest.mark.parametrize("provenance", ["rebuild", "stream", "backfill"])
    def test_has_its_minutes_if_they_are_complete(self, provenance: str) -> None:
        assert self.day(*minutes_from(OPEN, 390), provenance=provenance) == (390 * 7, provenance)

    @pytest.mark.parametrize("provenance", ["rebuild", "stream", "backfill"])
    def test_has_that_bar_if_a_single_minute_is_missing(self, provenance: str) -> None:
        minutes = minutes_from(OPEN, 390)
        del minutes[200]
        assert self.day(*minutes, provenance=provenance) == (99_999_999, "backfill")

    def test_has_that_bar_if_its_first_minutes_have_expired(self) -> None:
        assert self.day(*minutes_from(OPEN + 2 * HOUR, 270)) == (99_999_999, "backfill")

    def test_has_its_minutes_if_nothing_was_traded_in_the_others(self) -> None:
        quiet = '[["2026-11-23T14:30:00.000Z","2026-11-23T20:57:00.000Z"]]'
        assert self.day(*minutes_from(self.WATCHED, 3), quiet=quiet) == (21, "stream")
        quiet = '[["2026-11-23T14:31:00.000Z","2026-11-23T20:57:00.000Z"]]'
        assert self.day(*minutes_from(self.WATCHED, 3), quiet=quiet) == (99_999_999, "backfill")

    def test_expects_every_minute_if_the_sessions_are_unknown(self) -> None:
        world = world_of(*minutes_from(OPEN, 390))
        world.bars.put(stored("1d", at("2026-11-23 05:00"), volume=5))
        (bar,) = world.get("/v1/bars/AAPL", resolution="1d").json()["bars"]
        assert bar["volume"] == 5


def test_sessions_are_read_only_where_a_stored_bar_needs_them() -> None:
    days = [at("2026-11-02 05:00") + timedelta(days=number) for number in range(22)]
    world = world_of(*minutes_from(OPEN, 390))
    sessions = [(f"{day:%Y-%m-%d}", f"{day:%Y-%m-%d} 14:30", f"{day:%Y-%m-%d} 21:00") for day in days]
    world.calendars.put(sessions_of("XNYS", 2026, "America/New_York", sessions))

    def reads() -> tuple[int, int]:
        before = world.bars.reads, world.calendars.reads
        world.get("/v1/bars/AAPL", resolution="1d")
        return world.bars.reads - before[0], world.calendars.reads - before[1]

    world.get("/v1/symbols")  # the calendars of all symbols are kept for a minute
    assert reads() == (4, 0)
    world.bars.put(*(stored("5m", OPEN + number * 5 * MINUTE) for number in range(78)))
    assert reads() == (4, 0)
    world.bars.put(*(stored("1d", day) for day in days))
    assert reads() == (4, 1)  # the minutes of the only day that has some are complete
    world.bars.put(*(bar_row("AAPL", day + 12 * HOUR) for day in days))
    assert reads() == (5, 1)


def test_the_hole_of_a_coarse_bar_is_filled_with_the_finest_bars_that_are_stored() -> None:
    world = world_of(*minutes_from(at("2026-11-23 15:00"), 15))
    session = ("2026-11-23", "2026-11-23 15:00", "2026-11-23 15:20")
    world.calendars.put(sessions_of("XNYS", 2026, "America/New_York", [session]))
    prices = {"open": Decimal(1), "high": Decimal(9), "low": Decimal(1), "close": Decimal(5)}
    world.bars.put(
        stored("5m", at("2026-11-23 15:15"), **prices, volume=20),
        stored("1h", at("2026-11-23 15:00"), volume=1_000),
        stored("1d", at("2026-11-23 05:00"), volume=1_000),
    )
    (bar,) = world.get("/v1/bars/AAPL", resolution="1h").json()["bars"]
    assert (bar["volume"], bar["high"], bar["low"], bar["close"]) == (15 * 7 + 20, "271.49", 1, 5)
    (day,) = world.get("/v1/bars/AAPL", resolution="1d").json()["bars"]
    assert (day["day"], day["volume"], day["provenance"]) == ("2026-11-23", 15 * 7 + 20, "backfill")


def test_a_day_is_made_of_hours_that_begin_at_the_open() -> None:
    world = world_of()
    world.bars.put(*(stored("1h", OPEN + number * HOUR) for number in range(7)))
    assert [start for start, *_ in starts(world.get("/v1/bars/AAPL", resolution="1h", order="asc"))] == [
        f"{hour}:30" for hour in range(14, 21)
    ]
    (day,) = world.get("/v1/bars/AAPL", resolution="1d").json()["bars"]
    assert (day["start"], day["volume"]) == ("2026-11-23T05:00:00.000Z", 49)


class TestHoursThatBeginAtTheOpen:
    """A stored hour from 14:30 to 15:30, beside minutes, whose hours begin on the clock."""

    @pytest.mark.parametrize("order", ["asc", "desc"])
    @pytest.mark.parametrize("is_complete", [True, False])
    @pytest.mark.parametrize(
        ("start", "end"), [("14:00", "15:00"), ("14:30", "15:00"), ("15:00", "16:00"), ("14:31", "15:01")]
    )
    def test_are_judged_by_minutes_that_the_range_leaves_out(
        self, start: str, end: str, order: str, *, is_complete: bool
    ) -> None:
        world = world_of(*minutes_from(OPEN, 60 if is_complete else 59))
        world.bars.put(stored("1h", OPEN))
        times = {"start": f"2026-11-23T{start}:00Z", "end": f"2026-11-23T{end}:00Z"}
        found = starts(world.get("/v1/bars/AAPL", resolution="1h", order=order, **times))
        bars = [("14:00", 60, "stream"), ("15:00", 60, "stream")] if is_complete else [("14:30", 0, "backfill")]
        assert found == [bar for bar in bars if start <= bar[0] < end]

    def test_are_in_a_range_that_begins_with_them(self) -> None:
        world = world_of()
        world.bars.put(stored("1h", OPEN), stored("1h", OPEN + HOUR))
        found = world.get("/v1/bars/AAPL", resolution="1h", start="2026-11-23T14:30:00Z", end="2026-11-23T15:30:00Z")
        assert starts(found) == [("14:30", 0, "backfill")]

    @pytest.mark.parametrize("order", ["asc", "desc"])
    def test_hide_no_bar_on_the_next_page(self, order: str) -> None:
        world = world_of(at("2026-11-23 15:40"))
        world.bars.put(stored("1h", OPEN), stored("1h", OPEN - HOUR))
        bars = all_pages(world, resolution="1h", order=order, limit=1)
        assert sorted(bar["start"][11:16] for bar in bars) == ["13:30", "14:30", "15:00"]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_no_stored_bar_takes_the_place_of_minutes_that_are_not_read_yet(
    order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query_api.minutes, "MAX_MINUTES", 300)
    world = world_of(*minutes_from(at("2026-11-23 14:00"), 700))
    world.bars.put(*(stored("1h", at("2026-11-23 13:00") + number * HOUR) for number in range(15)))
    bars = all_pages(world, resolution="1h", order=order)
    assert [bar["quotes"] for bar in bars][:: 1 if order == "asc" else -1] == [0, *[120] * 11, 0, 0, 0]


def test_years_of_days_come_from_stored_bars() -> None:
    world = world_of(*minutes_from(OPEN, 30))
    days = [at("2020-01-01 05:00") + timedelta(days=number) for number in range(2_000)]
    world.bars.put(*(stored("1d", day) for day in days))
    bars = all_pages(world, resolution="1d", limit=700)
    assert [bar["quotes"] for bar in bars] == [60] + [0] * 2_000
    assert len({bar["start"] for bar in bars}) == 2_001


def test_other_items_of_the_table_are_no_bars() -> None:
    world = world_of(OPEN)
    world.bars.put({"symbol": "AAPL", "key": "asked#1m#2026-11-23T05:00:00.000Z", "without_trades": "[]"})
    for resolution in RESOLUTIONS:
        assert len(world.get("/v1/bars/AAPL", resolution=resolution).json()["bars"]) == 1


def test_charting_clients_get_stored_bars_too() -> None:
    world = world_of()
    world.bars.put(*(stored("1d", at("2026-11-20 05:00") + timedelta(days=number)) for number in range(3)))
    found = world.get("/udf/history", symbol="AAPL", resolution="1D", to=1_795_996_800, countback=2).json()
    assert [datetime.fromtimestamp(time, UTC).day for time in found["t"]] == [21, 22]


class TestEveryMixture:
    """Of bars of all lengths, sessions and minutes without trades, in both orders, cut into pages and ranges."""

    @pytest.mark.parametrize("seed", range(sized(2, 8)))
    @pytest.mark.parametrize("resolution", ["15m", "1h", "1d"])
    def test_is_answered_as_it_is_defined(self, resolution: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        chance = random.Random(seed)
        world, rows = world_of(), list(_mixture(chance))
        world.bars.put(*rows)
        world.bars.page_items = chance.randint(3, 200)
        expected_minutes = _put_sessions(world, chance)
        expected = list(_expected(rows, resolution, expected_minutes))
        asked: dict[str, Any] = {"resolution": resolution, "limit": 5_000}
        found = {order: world.get("/v1/bars/AAPL", order=order, **asked).json() for order in ("asc", "desc")}
        assert _short(found["asc"]["bars"]) == expected
        assert found["desc"]["bars"] == found["asc"]["bars"][::-1]
        monkeypatch.setattr(query_api.minutes, "MAX_MINUTES", chance.choice([1_600, 20_000]))
        for order in ("asc", "desc"):
            limit = chance.randint(5, 40)
            assert all_pages(world, resolution=resolution, order=order, limit=limit) == found[order]["bars"]
        first, last = sorted(chance.sample(range(3 * 24 * 60), 2))
        start, end = (at("2026-11-22 00:00") + number * MINUTE for number in (first, last))
        inside = [bar for bar in found["asc"]["bars"] if to_iso(start) <= bar["start"] < to_iso(end)]
        asked |= {"start": to_iso(start), "end": to_iso(end), "order": "asc", "limit": chance.randint(5, 40)}
        assert all_pages(world, **asked) == inside


def _mixture(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Minutes in runs, and stored bars here and there. In the first days, hours begin at half past."""
    day, ends = at("2026-11-22 05:00"), chance.choice([0.002, 0.02])
    for resolution, length in LENGTHS.items():
        moment, is_there = day, False
        while moment < day + timedelta(days=2):
            if chance.random() < (ends if resolution == "1m" else 0.2):
                is_there = not is_there
            if is_there:
                shift = timedelta(minutes=30 if resolution == "1h" and moment < day + timedelta(days=1) else 0)
                yield {**stored(resolution, moment + shift), "volume": chance.randint(1, 1_000)}
            moment += length


def _put_sessions(world: QueryWorld, chance: random.Random) -> set[datetime]:
    """Store sessions and minutes without trades, or neither. Returns the expected minutes."""
    first = at("2026-11-22 00:00")
    minutes = minutes_from(first, 4 * 24 * 60)
    if chance.random() < 0.2:
        return set(minutes)
    bounds = sorted(chance.sample(range(len(minutes)), 2 * chance.randint(1, 8)))
    spans = [(minutes[opens], minutes[closes]) for opens, closes in zip(bounds[::2], bounds[1::2], strict=True)]
    sessions = [(f"{opens:%Y-%m-%d}", f"{opens:%Y-%m-%d %H:%M}", f"{closes:%Y-%m-%d %H:%M}") for opens, closes in spans]
    world.calendars.put(sessions_of("XNYS", 2026, "America/New_York", sessions))
    expected = {minute for minute in minutes if any(opens <= minute < closes for opens, closes in spans)}
    for number in range(chance.randint(0, 3)):
        quiet = first + chance.randrange(len(minutes)) * MINUTE
        end = quiet + chance.choice([1, 10, 600]) * MINUTE
        key = f"asked#1m#{to_iso(first + timedelta(days=number))}"
        world.bars.put({"symbol": "AAPL", "key": key, "without_trades": f'[["{to_iso(quiet)}","{to_iso(end)}"]]'})
        expected -= {minute for minute in expected if quiet <= minute < end}
    return expected


def _expected(
    rows: Iterable[dict[str, Any]], resolution: str, expected_minutes: set[datetime]
) -> Iterator[tuple[str, int]]:
    """The bars by definition: a stored bar counts, and finer ones in its time do not, where these are incomplete."""
    wanted = RESOLUTIONS[resolution]
    kept: list[tuple[datetime, str, int]] = []
    for name, length in LENGTHS.items():
        if RESOLUTIONS[name].minutes > wanted.minutes:
            break
        coarser: list[tuple[datetime, str, int]] = []
        for row in rows:
            own, _, text = row["key"].partition("#")
            start = datetime.fromisoformat(text)
            if own != name:
                continue
            finer = [(other, LENGTHS[of]) for other, of, _ in kept if start <= other < start + length]
            inside = {minute for minute in expected_minutes if start <= minute < start + length}
            for other, long in finer:
                inside -= set(minutes_from(other, long // MINUTE))
            if inside or not finer:
                coarser.append((start, own, row["volume"]))
        kept = [each for each in kept if not any(start <= each[0] < start + length for start, *_ in coarser)] + coarser
    volumes: dict[datetime, int] = {}
    for start, own, volume in kept:
        begin = start if own == resolution else span_of(start, wanted, NEW_YORK).start
        volumes[begin] = volumes.get(begin, 0) + volume
    yield from ((to_iso(start), volumes[start]) for start in sorted(volumes))


def _short(bars: Iterable[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(bar["start"], bar["volume"]) for bar in bars]
