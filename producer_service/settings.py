"""The producer's settings: environment variables with the prefix `PRODUCER_`, read once, checked all at once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from producer_service import calendars, watchlist
from producer_service.errors import ConfigurationError
from producer_service.exchanges import AUTO
from producer_service.watchlist import MAX_INTERVAL_SECONDS, MIN_INTERVAL_SECONDS, SourceKind, WatchGroup
from quotes import MAX_LANES, MAX_SYMBOLS_PER_LANE, is_symbol, lane_of

PREFIX = "PRODUCER_"


class Settings(BaseSettings):
    """What the producer does. AWS endpoint, region and credentials come the SDK's own way (`AWS_ENDPOINT_URL`, …)."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, env_ignore_empty=True, extra="ignore")

    stream_name: str = Field(
        max_length=128, pattern=r"^[a-zA-Z0-9_.-]+$", description="the Kinesis stream to deliver to"
    )
    source: SourceKind = Field(
        "yahoo", description="where quotes come from: yahoo, replay (recorded files) or synthetic (a seeded market)"
    )
    symbols: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="symbols to poll, comma separated; yahoo needs them, the others have their own"
    )
    poll_interval_seconds: float = Field(
        10, ge=MIN_INTERVAL_SECONDS, le=MAX_INTERVAL_SECONDS, description="seconds from one poll to the next"
    )
    calendar: str = Field(
        AUTO,
        description="when to poll: auto (while the exchanges of the symbols are open, by Yahoo's suffixes; the other "
        "sources always), always, or a calendar of exchange_calendars such as XNYS",
    )
    before_open_seconds: float = Field(300, ge=0, le=43_200, description="polling begins so long before an open")
    after_close_seconds: float = Field(
        300, ge=0, le=43_200, description="and ends so long after a close, and later by the delay that quotes declare"
    )
    watchlist: Path | None = Field(
        None,
        description="TOML file of watch groups, each with symbols, interval, calendar and source of its own; "
        "instead of PRODUCER_SYMBOLS",
    )
    lanes: int = Field(
        4,
        ge=1,
        le=MAX_LANES,
        description=f"units of order, fixed for the life of a stream; at most {MAX_SYMBOLS_PER_LANE} symbols each",
    )
    journal_dir: Path | None = Field(
        None, description="directory of the journal, which keeps accepted quotes over a crash; unset: memory alone"
    )
    journal_sync_seconds: float = Field(
        1, ge=0.1, le=60, description="how often the disk is made to hold the journal: what a power cut may lose"
    )
    outbox_max_bytes: int = Field(
        64 * 2**20, ge=2**20, description="undelivered bytes beyond which polling waits for Kinesis"
    )
    linger_seconds: float = Field(0.05, ge=0, le=10, description="how long a quote may wait for company in its packet")
    requests_in_flight: int = Field(4, ge=1, le=64, description="PutRecords requests under way at once")
    kinesis_timeout_seconds: float = Field(
        5, ge=0.1, le=60, description="how long Kinesis may take to answer before a request is sent again"
    )
    heartbeat_seconds: float = Field(60, ge=0.1, le=60, description="seconds from one heartbeat of a lane to the next")
    drain_seconds: float = Field(20, ge=0, le=110, description="how long a stop may take to deliver what is pending")
    handover_bucket: str | None = Field(
        None,
        pattern=r"^[a-z0-9.-]{3,63}$",
        description="S3 bucket where a stop leaves what it could not deliver, for the next producer; unset: nowhere",
    )
    http_host: str = Field(
        "127.0.0.1", description="address of /metrics, /healthz, /readyz and /status; 0.0.0.0 in a container"
    )
    http_port: int = Field(8080, ge=0, le=65_535, description="its port; 0 takes any free one and logs it")
    replay_path: Path | None = Field(
        None, description="file or directory to replay: SYMBOL_1min.csv bars, or archived JSON Lines"
    )
    replay_speed: float = Field(0, ge=0, description="times real time; 0 is as fast as it goes")
    synthetic_seed: int = Field(1, description="the same seed is the same market")
    yahoo_cache_dir: Path | None = Field(
        None, description="writable directory of yfinance's caches; unset: a temporary one of its own"
    )
    yahoo_extended_hours: bool = Field(
        default=False, description="prices before and after the regular session too, and polls to see them"
    )
    accepted_log_path: Path | None = Field(
        None, description="file to which every accepted identity is appended, as a witness for tests"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="of the JSON lines on stdout")

    @field_validator("symbols", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(dict.fromkeys(symbol.strip() for symbol in value.split(",") if symbol.strip()))

    @field_validator("symbols")
    @classmethod
    def _check_symbols(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        bad = [symbol for symbol in symbols if not is_symbol(symbol)]
        if bad:
            raise ValueError(
                f"not a symbol: {', '.join(map(repr, bad))}; separate symbols by commas, as in AAPL,BTC-USD"
            )
        return symbols

    @field_validator("calendar")
    @classmethod
    def _check_calendar(cls, name: str) -> str:
        problem = calendars.mistake(name)
        if problem is not None:
            raise ValueError(problem)
        return name


class Configuration(NamedTuple):
    """The configuration of a producer: its settings, and the groups of the watchlist, if it was given one."""

    settings: Settings
    groups: tuple[WatchGroup, ...]


def configuration(environment: Mapping[str, str]) -> Configuration:
    """The settings and the watchlist they name. Raises `ConfigurationError` with every mistake of both."""
    mistakes: list[str] = []
    groups: tuple[WatchGroup, ...] = ()
    try:
        settings = from_environment(environment)
    except ConfigurationError as error:
        settings, mistakes = None, error.mistakes
    path = environment.get(PREFIX + "WATCHLIST")
    if path:
        config = settings or Settings.model_construct()
        try:
            groups = watchlist.read(
                Path(path),
                interval_seconds=config.poll_interval_seconds,
                calendar=config.calendar,
                source=config.source,
            )
        except ConfigurationError as error:
            mistakes = mistakes + error.mistakes
    if any(group.source == "replay" for group in groups) and not environment.get(PREFIX + "REPLAY_PATH"):
        mistakes = list(dict.fromkeys([*mistakes, _missing("REPLAY_PATH")]))
    if settings is None or mistakes:
        raise ConfigurationError(mistakes)
    return Configuration(settings, groups)


def from_environment(environment: Mapping[str, str]) -> Settings:
    """The settings that the process's environment holds. Raises `ConfigurationError` with every mistake.

    `environment` is looked at for unknown variables; pydantic-settings reads `os.environ` itself.
    """
    mistakes = [
        _unknown(name) for name in sorted(environment) if name.upper().startswith(PREFIX) and name not in VARIABLES
    ]
    try:
        settings = Settings()  # type: ignore[call-arg]  # from the environment
    except ValidationError as error:
        mistakes += [_described(mistake) for mistake in error.errors()]
        raise ConfigurationError(mistakes + _needs(environment)) from error
    mistakes += _needs(environment) + check_lanes(settings.symbols, settings.lanes)
    if mistakes:
        raise ConfigurationError(mistakes)
    return settings


def check_lanes(symbols: tuple[str, ...], lanes: int) -> list[str]:
    """The mistakes in a number of lanes for some symbols: none, or one that says how many it takes."""
    fullest = _fullest(symbols, lanes)
    if fullest <= MAX_SYMBOLS_PER_LANE:
        return []
    enough = next(
        (more for more in range(lanes, MAX_LANES + 1) if _fullest(symbols, more) <= MAX_SYMBOLS_PER_LANE), None
    )
    advice = f"{enough} lanes are enough" if enough else "they are too many for one stream"
    return [f"{PREFIX}LANES: a lane of {lanes} would hold {fullest} of the {len(symbols)} symbols, and {advice}"]


_NEEDED = {
    "SYMBOLS": "the source yahoo has to be told them, as in AAPL,MSFT,BTC-USD",
    "REPLAY_PATH": "the source replay needs a file or a directory",
}


def _missing(variable: str) -> str:
    return f"{PREFIX}{variable}: missing; {_NEEDED[variable]}"


def _needs(environment: Mapping[str, str]) -> list[str]:
    """What a source needs beside the settings of all. Judged apart, so that one mistake does not hide the other."""
    if environment.get(PREFIX + "WATCHLIST"):  # its groups name symbols and sources
        both = f"{PREFIX}SYMBOLS: set beside {PREFIX}WATCHLIST; name the symbols in one of them"
        return [both] if environment.get(PREFIX + "SYMBOLS") else []
    needed = {"yahoo": "SYMBOLS", "replay": "REPLAY_PATH"}.get(environment.get(PREFIX + "SOURCE") or "yahoo")
    return [_missing(needed)] if needed and not (environment.get(PREFIX + needed) or "").strip(" ,") else []


def _fullest(symbols: tuple[str, ...], lanes: int) -> int:
    counts = [0] * lanes
    for symbol in symbols:
        counts[lane_of(symbol, lanes)] += 1
    return max(counts)


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default in (None, ()) else str(default)


VARIABLES: dict[str, tuple[str, str]] = {
    PREFIX + name.upper(): (
        "required" if field.is_required() else _shown(field.default),
        field.description or "",
    )
    for name, field in Settings.model_fields.items()
}
"""Each variable's default and description, in the order of the settings; what `--help` and the README show."""


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name.upper(), VARIABLES, n=1)
    return f"{name}: unknown" + (f"; {close[0]} is meant?" if close else "")


def _described(mistake: ErrorDetails) -> str:
    name = "_".join(str(part) for part in mistake["loc"][:1]).upper()
    problem = mistake["msg"].removeprefix("Value error, ")
    if mistake["type"] == "missing":
        return f"{PREFIX}{name}: missing; {VARIABLES[PREFIX + name][1]}"
    if not name:
        return PREFIX + problem
    value = mistake["input"]
    shown = ",".join(value) if isinstance(value, tuple) else value
    return f"{PREFIX}{name}: {shown!r:.80}: {problem[0].lower()}{problem[1:]}"
