"""Recorded quotes as a source: minute bars and archived JSON Lines."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from producer_service.sources import PolledSource
from producer_service.sources.definition import SourceDefinition, SourceSettings


class ReplaySettings(SourceSettings):
    """What to replay, and how fast."""

    model_config = SettingsConfigDict(env_prefix="PRODUCER_REPLAY_")

    path: Path = Field(description="file or directory to replay: SYMBOL_1min.csv bars, or archived JSON Lines")
    speed: float = Field(0, ge=0, description="speed as a multiple of real time; 0 replays as fast as possible")


def _open(settings: ReplaySettings, symbols: tuple[str, ...]) -> PolledSource:
    from producer_service.sources.replay.source import ReplaySource  # noqa: PLC0415  (see `SourceDefinition.open`)

    return ReplaySource(settings.path, symbols=symbols, speed=settings.speed)


DEFINITION = SourceDefinition(
    name="replay", description="recorded files", settings=ReplaySettings, needs_symbols=False, open=_open
)
