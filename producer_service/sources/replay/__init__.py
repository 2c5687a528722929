"""Recorded quotes as a source: minute bars and archived JSON Lines."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from producer_service.sources import PolledSource
from producer_service.sources.definition import SourceDefinition, SourceSettings
from producer_service.sources.replay.clock import DEFAULT_CLOCK, Clock


class ReplaySettings(SourceSettings):
    """What to replay, and how fast."""

    model_config = SettingsConfigDict(env_prefix="PRODUCER_REPLAY_")

    path: Path = Field(description="file or directory to replay: SYMBOL_1min.csv bars, or archived JSON Lines")
    speed: float = Field(0, ge=0, description="speed as a multiple of real time; 0 replays as fast as possible")
    timezone: ZoneInfo = Field(
        DEFAULT_CLOCK.zone,
        description="time zone of the times in bars that have no offset, and of the trading day, such as UTC",
    )
    stamp: Literal["start", "end"] = Field(
        DEFAULT_CLOCK.stamp, description="whether the time of a bar is the start or the end of its minute"
    )

    @field_validator("timezone", mode="before")
    @classmethod
    def _zone(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return ZoneInfo(value)
        except (KeyError, OSError, ValueError) as error:
            raise ValueError("is not a time zone; one is named like America/New_York or UTC") from error


def _open(settings: ReplaySettings, symbols: tuple[str, ...]) -> PolledSource:
    from producer_service.sources.replay.source import ReplaySource  # noqa: PLC0415  (see `SourceDefinition.open`)

    clock = Clock(settings.timezone, settings.stamp)
    return ReplaySource(settings.path, symbols=symbols, speed=settings.speed, clock=clock)


DEFINITION = SourceDefinition(
    name="replay",
    description="recorded files",
    prices="replayed prices",
    settings=ReplaySettings,
    needs_symbols=False,
    is_fixed=True,
    open=_open,
)
