"""From what was config to what is polled: groups, one source a kind, calendars."""

from __future__ import annotations

import pytest

from producer_service.errors import ConfigurationError
from producer_service.settings import Configuration, Settings
from producer_service.wiring import plan
from tests.fakes.producer_bench import FakeSource, group


class Workshop:
    """Makes fake sources, and keeps what each was made from."""

    def __init__(self) -> None:
        self.made: list[Settings] = []

    def __call__(self, settings: Settings) -> FakeSource:
        self.made.append(settings)
        return FakeSource()


@pytest.fixture
def make_source() -> Workshop:
    return Workshop()


def settings(**said: object) -> Settings:
    return Settings.model_construct(stream_name="quotes", **said)  # type: ignore[arg-type]


def test_without_a_watchlist_there_is_one_group_of_the_settings(make_source: Workshop) -> None:
    config = Configuration(settings(source="synthetic", symbols=("KO",), poll_interval_seconds=3), ())
    planned = plan(config, make_source)
    assert planned.groups == (group("default", ("KO",), calendar="auto", source="synthetic", interval_seconds=3),)


def test_a_source_has_symbols_of_its_own_where_none_are_named(make_source: Workshop) -> None:
    [default] = plan(Configuration(settings(source="synthetic"), ()), make_source).groups
    assert default.symbols == FakeSource.symbols


def test_groups_of_one_kind_share_a_source_that_is_told_the_symbols_of_all(make_source: Workshop) -> None:
    groups = (
        group("us", ("AAPL",), calendar="always"),
        group("toys", ("T1",), source="synthetic"),
        group("eu", ("HSBA.L",), calendar="always"),
    )
    planned = plan(Configuration(settings(source="yahoo"), groups), make_source)
    assert planned.groups == groups
    assert list(planned.sources) == ["yahoo", "synthetic"]
    assert [(each.source, each.symbols) for each in make_source.made] == [
        ("yahoo", ("AAPL", "HSBA.L")),
        ("synthetic", ("T1",)),
    ]


def test_a_lane_is_too_full_if_the_groups_together_fill_it(make_source: Workshop) -> None:
    groups = tuple(group(name, [f"{name}{number}" for number in range(250)]) for name in "ab")
    with pytest.raises(ConfigurationError, match="PRODUCER_LANES: a lane of 1 would hold 500 of the 500 symbols"):
        plan(Configuration(settings(lanes=1), groups), make_source)


def test_calendars_are_looked_up_for_the_groups_that_go_by_them(make_source: Workshop) -> None:
    config = Configuration(settings(), (group("us", ("AAPL", "HSBA.L"), calendar="auto"),))
    market = plan(config, make_source).market
    assert [market.calendar(name).zone for name in ("XLON", "XNYS")] == ["Europe/London", "America/New_York"]
