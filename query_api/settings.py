"""The settings of the function. `app` reads them once from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, cast, get_args

import msgspec

from query_api.errors import SettingsError
from quotes import MAX_LANES

DEFAULT_LANES = 4
"""The number of lanes of a stream for which nobody names another, as in the producer's settings."""
Resolution = Literal["every", "minute"]
"""Which quotes become rows: every quote, or the last quote of each symbol and minute."""
_ORIGIN = re.compile(r"https?://[^/\s,]+", re.ASCII)
_REQUIRED = ("QUOTES_TABLE", "BARS_TABLE", "STATE_TABLE", "ALERTS_TABLE", "CALENDARS_TABLE", "QUARANTINE_QUEUE_URL")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The names of the tables and the queue, and the parameters of the function."""

    quotes_table: str
    bars_table: str
    state_table: str
    alerts_table: str
    calendars_table: str
    quarantine_queue_url: str
    lanes: int
    """The number of lanes of the stream, as the producer has it."""
    cors_origins: tuple[str, ...] = ()
    """The origins whose pages may read the answers, or `*` for all of them. None by default."""
    row_resolution: Resolution = "every"


def from_environment(environment: Mapping[str, str]) -> Settings:
    """The settings in an environment. Raises `SettingsError` with all mistakes, one a line."""
    mistakes = [f"{name}: missing" for name in _REQUIRED if not environment.get(name)]
    lanes = environment.get("LANES") or str(DEFAULT_LANES)
    if not (lanes.isascii() and lanes.isdigit() and 1 <= int(lanes) <= MAX_LANES):
        mistakes.append(f"LANES: {lanes!r} is not a number from 1 to {MAX_LANES}")
    origins = tuple(origin.strip() for origin in environment.get("CORS_ORIGINS", "").split(",") if origin.strip())
    mistakes += [
        f"CORS_ORIGINS: {origin!r} is neither an origin such as https://example.org nor *"
        for origin in origins
        if origin != "*" and _ORIGIN.fullmatch(origin) is None
    ]
    resolution = environment.get("ROW_RESOLUTION") or "every"
    if resolution not in get_args(Resolution):
        mistakes.append(f"ROW_RESOLUTION: {resolution!r} is neither every nor minute")
    if mistakes:
        raise SettingsError("the function's environment is wrong:\n" + "\n".join(mistakes))
    return Settings(
        quotes_table=environment["QUOTES_TABLE"],
        bars_table=environment["BARS_TABLE"],
        state_table=environment["STATE_TABLE"],
        alerts_table=environment["ALERTS_TABLE"],
        calendars_table=environment["CALENDARS_TABLE"],
        quarantine_queue_url=environment["QUARANTINE_QUEUE_URL"],
        lanes=int(lanes),
        cors_origins=origins,
        row_resolution=cast(Resolution, resolution),
    )
