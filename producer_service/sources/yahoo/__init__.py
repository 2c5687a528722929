"""Yahoo Finance as a source, through yfinance."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from msgspec.structs import replace
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from producer_service.exchanges import HOME, Trading, trading_of
from producer_service.sources import PolledSource, SourceTraits
from producer_service.sources.definition import SourceDefinition, SourceSettings
from watchlist.symbol_names import yahoo_hint

EXTENDED_BEFORE_OPEN = timedelta(hours=5, minutes=30)
EXTENDED_AFTER_CLOSE = timedelta(hours=4)
"""Trading before and after the regular session in New York, from 4:00 to 20:00. Yahoo has no such prices elsewhere."""


class YahooSettings(SourceSettings):
    """How to ask Yahoo."""

    model_config = SettingsConfigDict(env_prefix="PRODUCER_YAHOO_")

    cache_dir: Path | None = Field(
        default=None, description="writable directory for yfinance's caches; if unset, a temporary one"
    )
    extended_hours: bool = Field(
        default=False, description="also take prices before and after the regular session, and poll at those hours"
    )


def traits_of(*, extended_hours: bool) -> SourceTraits:
    """The properties of the source: it is live, and the names of symbols tell when they trade."""
    return SourceTraits(is_live=True, trading=_extended if extended_hours else trading_of, hint=yahoo_hint)


def _extended(symbol: str) -> Trading:
    trading = trading_of(symbol)
    if trading.calendar != HOME or trading.stamped_before_close:  # funds have no price before or after the session
        return trading
    return replace(trading, opens_earlier=EXTENDED_BEFORE_OPEN, closes_later=EXTENDED_AFTER_CLOSE)


def _open(settings: YahooSettings, symbols: tuple[str, ...]) -> PolledSource:  # noqa: ARG001  (each fetch names them)
    from producer_service.sources.yahoo.source import YahooSource  # noqa: PLC0415  (see `SourceDefinition.open`)

    return YahooSource(cache_directory=settings.cache_dir, extended_hours=settings.extended_hours)


DEFINITION = SourceDefinition(
    name="yahoo",
    description="Yahoo Finance",
    prices="Yahoo's prices",
    settings=YahooSettings,
    needs_symbols=True,
    open=_open,
)
