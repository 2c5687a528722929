"""Yahoo's stream of prices as a source, with polls beside it (docs/streaming.md)."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from producer_service.sources import PushedSource
from producer_service.sources.definition import SourceDefinition, SourceSettings

MIN_RECONCILE_SECONDS, MAX_RECONCILE_SECONDS = 5, 3_600


class YahooStreamSettings(SourceSettings):
    """How to listen to Yahoo, and how to poll it beside."""

    model_config = SettingsConfigDict(env_prefix="PRODUCER_YAHOO_STREAM_")

    reconcile_seconds: float = Field(
        60,
        ge=MIN_RECONCILE_SECONDS,
        le=MAX_RECONCILE_SECONDS,
        description="seconds from one poll beside the stream to the next; polls also fill each gap at once",
    )
    cache_dir: Path | None = Field(
        None, description="writable directory for yfinance's caches; if unset, a temporary one"
    )
    extended_hours: bool = Field(
        default=False, description="also take prices before and after the regular session, and poll at those hours"
    )


def _open(settings: YahooStreamSettings, symbols: tuple[str, ...]) -> PushedSource:
    # Imported here: see `SourceDefinition.open`.
    from producer_service.sources.yahoo.source import YahooSource  # noqa: PLC0415
    from producer_service.sources.yahoo_stream.source import YahooStreamSource  # noqa: PLC0415

    poller = YahooSource(cache_directory=settings.cache_dir, extended_hours=settings.extended_hours)
    return YahooStreamSource(
        symbols,
        poller,
        reconcile_seconds=settings.reconcile_seconds,
        extended_hours=settings.extended_hours,
    )


DEFINITION = SourceDefinition(
    name="yahoo_stream",
    description="Yahoo Finance, streamed",
    prices="Yahoo's streamed prices",
    settings=YahooStreamSettings,
    needs_symbols=True,
    open=_open,
)
