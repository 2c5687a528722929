"""The registry of sources, and what each source declares about itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from producer_service.exchanges import trading_of
from producer_service.settings import PREFIX, VARIABLES
from producer_service.sources import PushedSource
from producer_service.sources.registry import DEFAULT_SOURCE, SOURCES
from producer_service.sources.yahoo import EXTENDED_AFTER_CLOSE, EXTENDED_BEFORE_OPEN, traits_of


def test_the_default_source_is_registered() -> None:
    assert DEFAULT_SOURCE in SOURCES


@pytest.mark.parametrize("name", SOURCES)
class TestDefinition:
    def test_has_settings_under_its_name_that_may_be_empty(self, name: str) -> None:
        config = SOURCES[name].settings.model_config
        assert config["env_prefix"] == f"{PREFIX}{name.upper()}_"
        assert config["env_ignore_empty"]

    def test_every_setting_is_listed_with_a_description(self, name: str) -> None:
        for field in SOURCES[name].settings.model_fields:
            assert VARIABLES[f"{PREFIX}{name.upper()}_{field.upper()}"][1]


def test_the_synthetic_source_is_live_and_never_closes() -> None:
    definition = SOURCES["synthetic"]
    source = definition.open(definition.settings(), ())
    assert not isinstance(source, PushedSource)
    assert source.traits.is_live
    assert {source.traits.trading(symbol).calendar for symbol in source.symbols} == {"always"}


def test_the_replay_is_not_live_and_never_closes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "AAPL_1min.csv").write_text("datetime,open,high,low,close,volume\n2026-11-23 10:01:00,1,2,0.5,1.5,7\n")
    monkeypatch.setenv("PRODUCER_REPLAY_PATH", str(tmp_path))
    definition = SOURCES["replay"]
    source = definition.open(definition.settings(), ())
    assert not source.traits.is_live
    assert source.symbols == ("AAPL",)
    assert {source.traits.trading(symbol).calendar for symbol in source.symbols} == {"always"}


def test_yahoo_follows_the_exchanges_of_its_symbols() -> None:
    traits = traits_of(extended_hours=False)
    assert traits.is_live
    assert [traits.trading(symbol) for symbol in ("AAPL", "SAP.F")] == [trading_of("AAPL"), trading_of("SAP.F")]


def test_yahoos_extended_hours_have_margins() -> None:
    trading = traits_of(extended_hours=True).trading
    assert (trading("AAPL").opens_earlier, trading("AAPL").closes_later) == (
        EXTENDED_BEFORE_OPEN,
        EXTENDED_AFTER_CLOSE,
    )
    assert [trading(symbol) for symbol in ("1299.HK", "VTSAX")] == [trading_of("1299.HK"), trading_of("VTSAX")]
