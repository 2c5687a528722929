"""The exchanges' sessions as data: what is written, when, and what happens if that fails."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import exchange_calendars
import pytest
from botocore.exceptions import ClientError
from prometheus_client import CollectorRegistry

from bars import sessions
from producer_service import calendars, session_years
from producer_service.dynamodb_calendars import DynamoDbCalendars
from producer_service.errors import CalendarsUnavailable, CalendarUnavailable
from producer_service.group_state import GroupState
from producer_service.market_hours import Calendar, MarketHours
from producer_service.metrics import Metrics
from producer_service.session_writer import SessionWriter
from producer_service.session_years import DaySession, Item, SessionYear, wanted_years
from producer_service.sources import RecordedSpan, SourceTraits
from producer_service.sources.yahoo import traits_of
from tests.fakes.producer_bench import LIVE, group
from watchlist import groups

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
NONE = timedelta()
RECORDED = SourceTraits(is_live=False, recorded=RecordedSpan("Europe/Berlin", (2019,)))


class Table:
    """The table of calendars, which fails as long as `failures` remain."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], Item] = {}
        self.batches: list[int] = []
        self.failures = 0

    def put(self, items: Iterable[Item]) -> None:
        if self.failures:
            self.failures -= 1
            raise CalendarsUnavailable("throttled")
        batch = list(items)
        self.batches.append(len(batch))
        self.items |= {(item["id"], item["name"]): item for item in batch}


def state(traits: SourceTraits, *symbols: str, calendar: str = "auto") -> GroupState:
    hours = MarketHours((), lambda name, now: Calendar(name, "UTC", (), now, now), NOW)
    return GroupState(group(symbols=symbols, calendar=calendar), traits, hours, before_open=NONE, after_close=NONE)


def year_of(name: str, years: range, _now: datetime) -> Sequence[SessionYear]:
    """One session a year, of which `known_to` tells nothing."""
    if name == "XTAE":
        raise CalendarUnavailable("no such holiday")
    opens = [datetime(year, 6, 1, 13, 30, tzinfo=UTC) for year in years]
    return [
        SessionYear(name, each.year, "America/New_York", (DaySession(each.date(), each, each),), each, each)
        for each in opens
    ]


class Bench:
    def __init__(self, *states: GroupState) -> None:
        self.now = NOW
        self.states = states
        self.table = Table()
        self.registry = CollectorRegistry()
        self.writer = SessionWriter(
            self.table,
            year_of,
            lambda: self.states,
            Metrics(self.registry),
            now=lambda: self.now,
            monotonic=lambda: 0.0,
        )

    def failures(self) -> float | None:
        return self.registry.get_sample_value("stockstream_session_write_failures_total")


def test_each_symbol_has_its_calendar_and_each_calendar_its_years() -> None:
    bench = Bench(state(traits_of(extended_hours=False), "AAPL", "BTC-USD"))
    bench.writer.look()
    assert bench.table.items.keys() == {
        ("symbols", "AAPL"), ("symbols", "BTC-USD"), ("watched", "0000"),
        ("XNYS", "2025"), ("XNYS", "2026"), ("XNYS", "2027"),
    }  # fmt: skip
    assert bench.table.items["symbols", "AAPL"] == {
        "id": "symbols",
        "name": "AAPL",
        "calendar": "XNYS",
        "timezone": "America/New_York",
    }
    around_the_clock = bench.table.items["symbols", "BTC-USD"]
    assert (around_the_clock["calendar"], around_the_clock["timezone"]) == ("always", "UTC")
    assert json.loads(bench.table.items["XNYS", "2026"]["sessions"]) == [
        ["2026-06-01", "2026-06-01T13:30:00Z", "2026-06-01T13:30:00Z"]
    ]
    assert bench.writer.has_written.is_set()


def test_a_calendar_that_the_user_names_counts() -> None:
    bench = Bench(state(LIVE, "AAPL", calendar="XLON"))
    bench.writer.look()
    assert bench.table.items["symbols", "AAPL"]["calendar"] == "XLON"


def test_a_symbol_of_which_nobody_knows_when_it_trades_is_said_to_be_so() -> None:
    traits = traits_of(extended_hours=False)
    bench = Bench(state(traits, "EMAAR.AE", "^VIX", "BTC-USD"), state(traits, "FAB.AE", calendar="XSAU"))
    bench.writer.look()
    symbols = {name: item for (kind, name), item in bench.table.items.items() if kind == "symbols"}
    assert {name: item["calendar"] for name, item in symbols.items()} == {
        "EMAAR.AE": "unknown",
        "^VIX": "unknown",
        "BTC-USD": "always",
        "FAB.AE": "XSAU",  # the user knows
    }
    assert symbols["EMAAR.AE"]["timezone"] == "UTC"
    assert {kind for kind, _ in bench.table.items} == {"symbols", "watched", "XSAU"}


def test_the_names_of_the_table_are_those_that_its_readers_know() -> None:
    assert (session_years.UNKNOWN, session_years.SYMBOLS) == (sessions.UNKNOWN, sessions.SYMBOLS)
    assert session_years.WATCHED == sessions.WATCHED
    assert groups.ALWAYS == sessions.ALWAYS


def test_symbols_that_are_polled_at_any_time_trade_when_their_names_say() -> None:
    polled = state(traits_of(extended_hours=False), "AAPL", "BTC-USD", "VOD.L", "EMAAR.AE", calendar="always")
    bench = Bench(polled, state(SourceTraits(is_live=True), "SIM", calendar="always"))
    bench.writer.look()
    calendars_of = {name: item["calendar"] for (kind, name), item in bench.table.items.items() if kind == "symbols"}
    assert calendars_of == {
        "AAPL": "XNYS",
        "VOD.L": "XLON",
        "BTC-USD": "always",
        "EMAAR.AE": "unknown",
        "SIM": "always",
    }
    assert ("XLON", "2026") in bench.table.items


@pytest.mark.parametrize(
    ("now", "years"),
    [
        (NOW, (range(2025, 2028),)),
        (datetime(2026, 2, 1, tzinfo=UTC), (range(2024, 2027),)),
        (datetime(2026, 7, 1, tzinfo=UTC), (range(2025, 2027),)),
    ],
)
def test_the_years_hold_400_days_back_and_120_ahead(now: datetime, years: tuple[range, ...]) -> None:
    assert wanted_years([state(LIVE, "AAPL")], now) == years
    days = [date(years[0].start, 1, 1), date(years[0].stop - 1, 12, 31)]
    assert days[0] <= (now - timedelta(days=400)).date()
    assert (now + timedelta(days=120)).date() <= days[1]


def test_a_recording_has_the_sessions_of_its_years_by_the_names_of_its_symbols() -> None:
    bench = Bench(state(RECORDED, "AAPL", "BTC-USD"))
    bench.writer.look()
    years = sorted(name for calendar, name in bench.table.items if calendar == "XNYS")
    assert years == ["2019", "2025", "2026", "2027"]
    assert bench.table.items["symbols", "BTC-USD"]["timezone"] == "Europe/Berlin"
    assert bench.table.items["symbols", "AAPL"]["timezone"] == "America/New_York"


def test_only_what_changed_is_written_again() -> None:
    bench = Bench(state(LIVE, "AAPL", calendar="XNYS"))
    bench.writer.look()
    bench.writer.look()
    assert bench.table.batches == [5]
    bench.now += timedelta(days=1)
    bench.writer.look()
    assert bench.table.batches == [5]
    bench.states = (state(LIVE, "AAPL", "MSFT", calendar="XNYS"),)
    bench.writer.look()
    assert bench.table.batches == [5, 2]  # the symbol and the list of all
    bench.now = datetime(2027, 9, 20, tzinfo=UTC)  # 120 days later it is 2028
    bench.writer.look()
    assert bench.table.batches == [5, 2, 1]
    assert ("XNYS", "2028") in bench.table.items


def test_a_removed_symbol_stays() -> None:
    bench = Bench(state(LIVE, "AAPL", "MSFT"))
    bench.writer.look()
    bench.states = (state(LIVE, "AAPL"),)
    bench.writer.look()
    assert ("symbols", "MSFT") in bench.table.items


def watched(table: Table) -> list[str]:
    """The symbols that the table says are watched now."""
    parts = [item for (kind, _), item in sorted(table.items.items()) if kind == "watched"]
    return [symbol for part in parts[: int(parts[0]["items"])] for symbol in json.loads(part["symbols"])]


def test_the_symbols_that_are_watched_now_are_listed_after_their_calendars() -> None:
    bench = Bench(state(LIVE, "MSFT"), state(LIVE, "AAPL"))
    bench.writer.look()
    assert watched(bench.table) == ["AAPL", "MSFT"]
    assert [kind for kind, _ in bench.table.items][:3] == ["symbols", "symbols", "watched"]
    bench.states = (state(LIVE, "AAPL"),)
    bench.writer.look()
    assert watched(bench.table) == ["AAPL"]


def test_a_list_that_became_shorter_has_none_of_the_earlier_symbols() -> None:
    bench = Bench(state(LIVE, *(f"S{number:04}" for number in range(2_100))))
    bench.writer.look()
    assert watched(bench.table) == [f"S{number:04}" for number in range(2_100)]
    bench.states = (state(LIVE, "S0000", "S2000"),)
    bench.writer.look()
    assert watched(bench.table) == ["S0000", "S2000"]


def test_a_producer_that_knows_no_watchlist_yet_keeps_the_list() -> None:
    bench = Bench(state(LIVE, "AAPL"))
    bench.writer.look()
    bench.states = ()
    bench.writer.look()
    assert watched(bench.table) == ["AAPL"]


def test_a_failure_is_counted_and_tried_again() -> None:
    bench = Bench(state(LIVE, "AAPL"))
    bench.table.failures = 2
    bench.writer.look()
    bench.writer.look()
    assert (bench.failures(), bench.table.items) == (2, {})
    assert not bench.writer.has_written.is_set()
    bench.writer.look()
    assert (bench.failures(), len(bench.table.items)) == (2, 2)


def test_a_calendar_that_cannot_be_computed_holds_back_no_other() -> None:
    bench = Bench(state(LIVE, "A.TA", calendar="XTAE"), state(LIVE, "AAPL", calendar="XNYS"))
    bench.writer.look()
    assert ("XNYS", "2026") in bench.table.items
    assert ("XTAE", "2026") not in bench.table.items
    assert bench.table.items["symbols", "A.TA"]["calendar"] == "XTAE"


def test_many_items_are_written_in_batches() -> None:
    bench = Bench(state(LIVE, *(f"S{number}" for number in range(60))))
    bench.writer.look()
    assert bench.table.batches == [25, 25, 11]


class TestTable:
    @pytest.fixture
    def table(self, monkeypatch: pytest.MonkeyPatch) -> DynamoDbCalendars:
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        return DynamoDbCalendars("calendars")

    def test_a_refusal_and_a_part_that_is_left_out_say_so(self, table: DynamoDbCalendars) -> None:
        refusal = ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "gone"}}, "BatchWriteItem")
        answers: list[Any] = [refusal, {"UnprocessedItems": {"calendars": [{}]}}, {"UnprocessedItems": {}}]
        renewed: list[None] = []

        class Client:
            def get(self) -> Client:
                return self

            def renew_credentials(self) -> None:
                renewed.append(None)

            def batch_write_item(self, **_: Any) -> Any:
                answer = answers.pop(0)
                if isinstance(answer, Exception):
                    raise answer
                return answer

        table._aws = Client()  # type: ignore[assignment]
        item = {"id": "symbols", "name": "AAPL"}
        with pytest.raises(CalendarsUnavailable, match=r"the table calendars: .*gone"):
            table.put([item])
        assert renewed == [None]
        with pytest.raises(CalendarsUnavailable, match="left out 1 of 2 items"):
            table.put([item, item])
        table.put([item])


class TestYears:
    """With exchange_calendars itself."""

    def test_half_days_and_holidays_are_those_of_the_exchange(self) -> None:
        (new_york,) = calendars.load_years("XNYS", range(2026, 2027), NOW)
        by_day = {each.day.isoformat(): each for each in new_york.sessions}
        assert "2026-11-26" not in by_day
        assert by_day["2026-11-27"].closes == datetime(2026, 11, 27, 18, tzinfo=UTC)
        assert by_day["2026-07-01"].opens == datetime(2026, 7, 1, 13, 30, tzinfo=UTC)
        assert (new_york.known_from, new_york.known_to) == (
            datetime(2026, 1, 1, 5, tzinfo=UTC),
            datetime(2027, 1, 1, 5, tzinfo=UTC),
        )

    def test_a_session_that_begins_in_the_evening_belongs_to_the_next_day(self) -> None:
        (year,) = calendars.load_years("CMES", range(2026, 2027), NOW)
        monday = next(each for each in year.sessions if each.day == date(2026, 11, 30))
        assert monday.opens == datetime(2026, 11, 29, 23, tzinfo=UTC)

    def test_a_year_that_is_not_announced_is_left_out(self) -> None:
        years = calendars.load_years("XSHG", range(2026, 2028), NOW)
        assert [year.year for year in years] == [2026]
        assert len([each for each in years[0].sessions if each.day == date(2026, 11, 27)]) == 2  # a lunch break

    def test_a_calendar_with_mistakes_in_past_months_is_known_from_a_month_ago(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = exchange_calendars.get_calendar

        def with_mistakes(name: str, start: str, **end: str) -> Any:  # as XTAE in 2026
            if start < "2026-10-01":
                raise ValueError("Special dates are not sessions.")
            return real(name, start=start, **end)

        monkeypatch.setattr(exchange_calendars, "get_calendar", with_mistakes)
        (year,) = calendars.load_years("24/5", range(2026, 2027), NOW)
        assert (year.known_from, year.known_to) == (
            datetime(2026, 10, 29, tzinfo=UTC),
            datetime(2027, 1, 1, tzinfo=UTC),
        )
        assert year.sessions[0].day == date(2026, 10, 29)

    def test_a_calendar_that_cannot_be_computed_says_so(self) -> None:
        with pytest.raises(CalendarUnavailable, match="the calendar ASEX cannot be computed"):
            calendars.load_years("ASEX", range(2026, 2027), NOW)
