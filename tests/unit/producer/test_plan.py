"""How the configuration becomes what is polled: groups, one source for each name, calendars."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
import structlog.testing

from producer_service.errors import ConfigurationError
from producer_service.plan import Plan, changed_plan, log_doubtful_names, make_plan
from producer_service.settings import Configuration, Settings
from producer_service.sources import SourceTraits
from producer_service.sources.definition import SourceDefinition, SourceSettings
from tests.fakes.producer_bench import FakeSource, group
from tests.support.quotes import OPEN
from watchlist.groups import WatchGroup
from watchlist.symbol_names import yahoo_hint


class Sources:
    """Definitions of fake sources. It keeps the symbols that each was opened for."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, tuple[str, ...]]] = []

    @property
    def definitions(self) -> Mapping[str, SourceDefinition[Any]]:
        return {name: self._definition(name) for name in ("yahoo", "synthetic")}

    def _definition(self, name: str) -> SourceDefinition[SourceSettings]:
        def open_(_: SourceSettings, symbols: tuple[str, ...]) -> FakeSource:
            self.opened.append((name, symbols))
            return FakeSource()

        return SourceDefinition(
            name=name, description="a fake", settings=SourceSettings, needs_symbols=False, open=open_
        )


@pytest.fixture
def sources() -> Sources:
    return Sources()


def plan(sources: Sources, *groups: WatchGroup, **settings: object) -> Plan:
    core = Settings.model_construct(stream_name="quotes", **settings)  # type: ignore[arg-type]
    config = Configuration(core, groups, dict.fromkeys(("yahoo", "synthetic"), SourceSettings()))
    return make_plan(config, sources.definitions, OPEN)


def test_without_a_watchlist_there_is_one_group_of_the_settings(sources: Sources) -> None:
    planned = plan(sources, source="synthetic", symbols=("KO",), poll_interval_seconds=3)
    assert planned.groups == (group("default", ("KO",), calendar="auto", source="synthetic", interval_seconds=3),)


def test_a_source_has_symbols_of_its_own_where_none_are_named(sources: Sources) -> None:
    [default] = plan(sources, source="synthetic").groups
    assert default.symbols == FakeSource.symbols


def test_groups_of_one_source_share_it_and_it_is_opened_for_the_symbols_of_all(sources: Sources) -> None:
    groups = (
        group("us", ("AAPL",), calendar="always"),
        group("toys", ("T1",), source="synthetic"),
        group("eu", ("HSBA.L",), calendar="always"),
    )
    planned = plan(sources, *groups, source="yahoo")
    assert planned.groups == groups
    assert list(planned.sources) == ["yahoo", "synthetic"]
    assert sources.opened == [("yahoo", ("AAPL", "HSBA.L")), ("synthetic", ("T1",))]
    assert planned.symbols_of("yahoo") == ("AAPL", "HSBA.L")


def test_a_lane_is_too_full_if_the_groups_together_fill_it(sources: Sources) -> None:
    groups = tuple(group(name, [f"{name}{number}" for number in range(250)]) for name in "ab")
    with pytest.raises(ConfigurationError, match="PRODUCER_LANES: a lane of 1 would hold 500 of the 500 symbols"):
        plan(sources, *groups, lanes=1)


def test_calendars_are_loaded_for_the_groups_that_follow_them(sources: Sources) -> None:
    groups = group("us", ("AAPL",), calendar="XNYS"), group("uk", ("HSBA.L",), calendar="XLON")
    hours = plan(sources, *groups).market_hours
    assert [hours.calendar(name).zone for name in ("XLON", "XNYS")] == ["Europe/London", "America/New_York"]


def test_the_mistakes_of_all_sources_are_listed_together(sources: Sources) -> None:
    def refuse(_: SourceSettings, symbols: tuple[str, ...]) -> FakeSource:
        raise ConfigurationError([f"{symbol} is not recorded" for symbol in symbols])

    definitions = {
        name: dataclasses.replace(definition, open=refuse) for name, definition in sources.definitions.items()
    }
    groups = (group("us", ("AAPL",), calendar="always"), group("toys", ("T1",), source="synthetic"))
    settings = dict.fromkeys(("yahoo", "synthetic"), SourceSettings())
    config = Configuration(Settings.model_construct(stream_name="quotes"), groups, settings)
    with pytest.raises(ConfigurationError) as caught:
        make_plan(config, definitions, OPEN)
    assert caught.value.mistakes == ["AAPL is not recorded", "T1 is not recorded"]


def test_symbols_that_their_source_writes_in_another_way_are_logged_at_the_start(sources: Sources) -> None:
    planned = plan(sources, group("us", ("AAPL", "brk.b"), calendar="always"))
    for source in planned.sources.values():
        source.traits = SourceTraits(is_live=True, hint=yahoo_hint)  # type: ignore[misc]
    with structlog.testing.capture_logs() as logs:
        log_doubtful_names(planned)
        log_doubtful_names(plan(sources, group("us", ("AAPL",), calendar="always")))
    assert [line["hints"] for line in logs] == [{"brk.b": "did you mean BRK-B?"}]


def changed(sources: Sources, before: Plan, *groups: WatchGroup, lanes: int = 4) -> Plan:
    core = Settings.model_construct(stream_name="quotes", lanes=lanes, watchlist="w.toml")
    config = Configuration(core, groups, dict.fromkeys(("yahoo", "synthetic"), SourceSettings()))
    return changed_plan(config, sources.definitions, before, OPEN)


def test_another_watchlist_keeps_the_open_sources_and_opens_and_loads_what_is_new(sources: Sources) -> None:
    before = plan(sources, group("us", ("AAPL",), calendar="XNYS"))
    after = changed(
        sources,
        before,
        group("us", ("AAPL", "MSFT"), calendar="XNYS"),
        group("uk", ("HSBA.L",), calendar="XLON"),
        group("toys", ("T1",), source="synthetic"),
    )
    assert after.sources["yahoo"] is before.sources["yahoo"]
    assert sources.opened == [("yahoo", ("AAPL",)), ("synthetic", ("T1",))]
    assert after.market_hours.calendar("XLON").zone == "Europe/London"
    assert changed(sources, after, group("us", ("AAPL",))).sources.keys() == {"yahoo", "synthetic"}


def test_another_watchlist_must_fit_into_the_lanes(sources: Sources) -> None:
    before = plan(sources, group("us", ("AAPL",)), lanes=1)
    with pytest.raises(ConfigurationError, match="a lane of 1 would hold 401"):
        changed(sources, before, group("us", [f"S{number}" for number in range(401)]), lanes=1)


def test_a_recording_keeps_its_groups(sources: Sources) -> None:
    definitions = {name: dataclasses.replace(each, is_fixed=True) for name, each in sources.definitions.items()}
    before = plan(sources, group("us", ("AAPL",)))
    core = Settings.model_construct(stream_name="quotes", watchlist="w.toml")
    config = Configuration(core, (group("us", ("AAPL", "MSFT")),), {"yahoo": SourceSettings()})
    with pytest.raises(ConfigurationError, match=r"w\.toml: the source yahoo plays a recording"):
        changed_plan(config, definitions, before, OPEN)
