"""Yahoo's stream of prices as a source, with polls beside it (docs/streaming.md)."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from producer_service.sources import PushedSource
from producer_service.sources.definition import SourceDefinition, SourceSettings
from producer_service.sources.yahoo import DEFINITION as YAHOO
from producer_service.sources.yahoo import YahooSettings

MIN_RECONCILE_SECONDS, MAX_RECONCILE_SECONDS = 5, 3_600


class YahooStreamSettings(SourceSettings):
    """How to poll Yahoo beside the stream. The settings of the source yahoo hold for both."""

    model_config = SettingsConfigDict(env_prefix="PRODUCER_YAHOO_STREAM_")

    reconcile_seconds: float = Field(
        60,
        ge=MIN_RECONCILE_SECONDS,
        le=MAX_RECONCILE_SECONDS,
        description="seconds from one poll beside the stream to the next; polls also fill each gap at once",
    )


def _open(settings: YahooStreamSettings, symbols: tuple[str, ...]) -> PushedSource:
    # Imported here: see `SourceDefinition.open`.
    from producer_service.sources.yahoo.source import YahooSource  # noqa: PLC0415
    from producer_service.sources.yahoo_stream.source import YahooStreamSource  # noqa: PLC0415

    both = YahooSettings()
    return YahooStreamSource(
        symbols,
        YahooSource(cache_directory=both.cache_dir, extended_hours=both.extended_hours),
        reconcile_seconds=settings.reconcile_seconds,
        extended_hours=both.extended_hours,
    )


DEFINITION = SourceDefinition(
    name="yahoo_stream",
    description="Yahoo Finance, streamed",
    prices="Yahoo's streamed prices",
    settings=YahooStreamSettings,
    also_settings_of=(YAHOO.name,),
    needs_symbols=True,
    open=_open,
)
