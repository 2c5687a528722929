"""The producer's settings: environment variables with the prefix `PRODUCER_`, read once and checked all at once.

The settings of a source are declared beside the source, and read here with the others.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Generic, Literal, NamedTuple, TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from producer_service import watchlist_file
from producer_service.errors import ConfigurationError, WatchlistUnavailable
from producer_service.kubernetes import is_service_url, is_service_variable
from producer_service.sources.definition import SourceSettings
from producer_service.sources.registry import DEFAULT_SOURCE, SOURCES
from quotes import MAX_LANES, MAX_SYMBOLS_PER_LANE, is_symbol
from watchlist import (
    DEFAULT_LANES,
    MAX_INTERVAL_SECONDS,
    MIN_INTERVAL_SECONDS,
    Defaults,
    InvalidWatchlist,
    WatchGroup,
    lane_problems,
    parse,
)
from watchlist.calendar_names import name_problem
from watchlist.groups import AUTO
from watchlist.suggestions import did_you_mean
from watchlist.symbol_names import refused

PREFIX = "PRODUCER_"

_SOURCE_NAMES = ", ".join(SOURCES)
_NEEDING_SYMBOLS = [definition.name for definition in SOURCES.values() if definition.needs_symbols]


class WatchSettings(BaseSettings):
    """What is watched: the settings that it takes to ask a source for prices."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, env_ignore_empty=True, extra="ignore")

    source: str = Field(
        DEFAULT_SOURCE,
        description="where quotes come from: "
        + ", ".join(f"{definition.name} ({definition.description})" for definition in SOURCES.values()),
    )
    symbols: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="symbols, separated by commas; "
        f"required for {' and '.join(_NEEDING_SYMBOLS)}, other sources have symbols of their own",
    )
    poll_interval_seconds: float = Field(
        10, ge=MIN_INTERVAL_SECONDS, le=MAX_INTERVAL_SECONDS, description="seconds from one poll to the next"
    )
    calendar: str = Field(
        AUTO,
        description="when to poll: auto (while the exchanges of the symbols are open, if the source knows them, else "
        "always), always, or a calendar of exchange_calendars such as XNYS",
    )
    before_open_seconds: float = Field(
        300, ge=0, le=43_200, description="at least how long before an open polling starts"
    )
    after_close_seconds: float = Field(
        300,
        ge=0,
        le=43_200,
        description="at least how long after a close polling goes on, in addition to the delay of the quotes",
    )
    watchlist: str | None = Field(
        None,
        description="TOML file of watch groups, each with its own symbols, interval, calendar and source: a path, or "
        "s3://bucket/key; it is read again when it changes, and replaces PRODUCER_SYMBOLS",
    )
    watchlist_seconds: float = Field(
        20, ge=1, le=3_600, description="seconds from one look for a new watchlist to the next"
    )

    @field_validator("source")
    @classmethod
    def _check_source(cls, name: str) -> str:
        if problem := _source_problem(name):
            raise ValueError(problem)
        return name

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
                f"not a symbol: {', '.join(map(refused, bad))}; separate symbols by commas, as in AAPL,BTC-USD"
            )
        return symbols

    @field_validator("watchlist")
    @classmethod
    def _check_watchlist(cls, location: str | None) -> str | None:
        if is_object(location) and not re.fullmatch(r"s3://[a-z0-9.-]{3,63}/.+", location or ""):
            raise ValueError("is not an address like s3://bucket/configuration/watchlist.toml")
        return location

    @field_validator("calendar")
    @classmethod
    def _check_calendar(cls, name: str) -> str:
        problem = name_problem(name)
        if problem is not None:
            raise ValueError(problem)
        return name


class Settings(WatchSettings):
    """The settings that do not depend on the source.

    The AWS SDK finds endpoint, region and credentials in its usual way (`AWS_ENDPOINT_URL`, …).
    """

    stream_name: str = Field(
        max_length=128, pattern=r"^[a-zA-Z0-9_.-]+$", description="the Kinesis stream to deliver to"
    )
    lanes: int = Field(
        DEFAULT_LANES,
        ge=1,
        le=MAX_LANES,
        description="number of lanes, the units of order; it is fixed for the life of a stream, and a lane holds at "
        f"most {MAX_SYMBOLS_PER_LANE} symbols",
    )
    journal_dir: Path | None = Field(
        None,
        description="directory of the journal, which keeps accepted quotes over a crash; if unset, they are kept only "
        "in memory",
    )
    journal_sync_seconds: float = Field(
        1, ge=0.1, le=60, description="how often the journal is synced to disk; a power cut may lose this much"
    )
    outbox_max_bytes: int = Field(64 * 2**20, ge=2**20, description="undelivered bytes above which polling waits")
    linger_seconds: float = Field(
        0.05, ge=0, le=10, description="how long a quote waits for others to share its packet"
    )
    requests_in_flight: int = Field(4, ge=1, le=64, description="PutRecords requests at the same time")
    kinesis_timeout_seconds: float = Field(
        5, ge=0.1, le=60, description="how long to wait for Kinesis before a request is sent again"
    )
    heartbeat_seconds: float = Field(60, ge=0.1, le=60, description="seconds from one heartbeat of a lane to the next")
    drain_seconds: float = Field(20, ge=0, le=110, description="how long a stop may take to deliver what is pending")
    handover_bucket: str | None = Field(
        None,
        pattern=r"^[a-z0-9.-]{3,63}$",
        description="S3 bucket where a stop leaves what it could not deliver, for the next producer; if unset, it "
        "leaves nothing",
    )
    calendars_table: str | None = Field(
        None,
        pattern=r"^[a-zA-Z0-9_.-]{3,255}$",
        description="DynamoDB table that receives the calendar of each symbol and the sessions of the exchanges, for "
        "the query API; if unset, they are written nowhere",
    )
    http_host: str = Field(
        "127.0.0.1", description="address of /metrics, /healthz, /readyz and /status; 0.0.0.0 or :: in a container"
    )
    http_port: int = Field(8080, ge=0, le=65_535, description="port of these pages; 0 takes a free one and logs it")
    accepted_log_path: Path | None = Field(
        None, description="file that receives the identity of every accepted quote, for tests that look for lost quotes"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="lowest level that is logged, as JSON lines on stdout"
    )

    @field_validator("http_host")
    @classmethod
    def _without_brackets(cls, host: str) -> str:
        return host[1:-1] if host.startswith("[") and host.endswith("]") else host

    @field_validator("http_port", mode="before")
    @classmethod
    def _ignore_kubernetes(cls, value: object) -> object:
        """Kubernetes sets PRODUCER_HTTP_PORT to a URL if there is a Service named producer-http."""
        return cls.model_fields["http_port"].default if isinstance(value, str) and is_service_url(value) else value

    def http_url(self, port: int) -> str:
        """The URL of the pages on a port. An IPv6 address is written in brackets."""
        return f"http://[{self.http_host}]:{port}" if ":" in self.http_host else f"http://{self.http_host}:{port}"


W_co = TypeVar("W_co", bound=WatchSettings, covariant=True)
W = TypeVar("W", bound=WatchSettings)


class Configuration(NamedTuple, Generic[W_co]):
    """Everything that the environment says."""

    settings: W_co
    groups: tuple[WatchGroup, ...]
    """The groups of the watchlist; none without a watchlist, and none of an object in S3 before it is read."""
    source_settings: Mapping[str, SourceSettings]
    """The settings of each source that is used, by its name."""


def configuration(environment: Mapping[str, str]) -> Configuration[Settings]:
    """The settings, and the watchlist that they name. Raises `ConfigurationError` with every mistake of both.

    `environment` must be that of the process, which pydantic-settings reads itself.
    """
    return _configuration(Settings, environment)


def watch_configuration(environment: Mapping[str, str]) -> Configuration[WatchSettings]:
    """What is watched, without the settings of the delivery. Otherwise like `configuration`."""
    return _configuration(WatchSettings, environment)


def quote_configuration(
    environment: Mapping[str, str], source: str | None, symbols: tuple[str, ...]
) -> Configuration[WatchSettings]:
    """What a command line names: some symbols, of a source or of the one that the environment names.

    Raises `ConfigurationError` with every mistake. `environment` is that of the process.
    """
    name = source or environment.get(PREFIX + "SOURCE") or DEFAULT_SOURCE
    mistakes = _unknown_variables(environment)
    if problem := _source_problem(name):
        mistakes.append(f"{'--source' if source else PREFIX + 'SOURCE'}: {name!r:.80}: {problem}")
    mistakes += [f"{refused(symbol)} is not a symbol" for symbol in symbols if not is_symbol(symbol)]
    if not symbols and name in _NEEDING_SYMBOLS:
        mistakes.append(f"SYMBOL: missing; the source {name} needs symbols, as in: quote AAPL BTC-USD")
    source_settings, source_mistakes = _source_settings({name})
    if mistakes or source_mistakes:
        raise ConfigurationError(mistakes + source_mistakes)
    return Configuration(WatchSettings.model_construct(source=name, symbols=symbols), (), source_settings)


def with_watchlist(config: Configuration[W], content: bytes) -> Configuration[W]:
    """The configuration with the groups of another watchlist. Raises `ConfigurationError` with every mistake of it."""
    location = config.settings.watchlist
    groups, mistakes = _parsed(content, config.settings)
    source_settings, source_mistakes = _source_settings({group.source for group in groups})
    if mistakes or source_mistakes:
        raise ConfigurationError([f"{location}: {mistake}" for mistake in mistakes] + source_mistakes)
    return config._replace(groups=groups, source_settings=source_settings)


def is_object(watchlist: str | None) -> bool:
    """Whether a watchlist is an object in S3."""
    return watchlist is not None and watchlist.startswith("s3://")


def _configuration(model: type[W_co], environment: Mapping[str, str]) -> Configuration[W_co]:
    settings, errors = _read(model)
    mistakes = _unknown_variables(environment)
    mistakes += [_described(error, PREFIX) for error in errors]
    groups, watchlist_mistakes = _groups(environment, settings)
    used = {group.source for group in groups}
    if not environment.get(PREFIX + "WATCHLIST"):
        used = {environment.get(PREFIX + "SOURCE") or DEFAULT_SOURCE}
    mistakes += _symbol_mistakes(environment, used)
    source_settings, source_mistakes = _source_settings(used)
    mistakes += source_mistakes + watchlist_mistakes
    if isinstance(settings, Settings):
        mistakes += lane_problems(settings.symbols, settings.lanes)
    if settings is None or mistakes:
        raise ConfigurationError(mistakes)
    return Configuration(settings, groups, source_settings)


def _source_settings(used: Collection[str]) -> tuple[dict[str, SourceSettings], list[str]]:
    """The settings of the sources that are used, and the mistakes in those of all sources."""
    settings: dict[str, SourceSettings] = {}
    mistakes: list[str] = []
    for name, definition in SOURCES.items():
        found, errors = _read(definition.settings)
        prefix = definition.settings.model_config["env_prefix"]
        mistakes += [_described(error, prefix) for error in errors if name in used or error["type"] != "missing"]
        if found is not None and name in used:
            settings[name] = found
    return settings, mistakes


M = TypeVar("M", bound=BaseSettings)


def _fields(model: type[BaseSettings]) -> dict[str, FieldInfo]:
    """The fields of some settings, the required ones first."""
    return dict(sorted(model.model_fields.items(), key=lambda item: not item[1].is_required()))


def _read(model: type[M]) -> tuple[M | None, list[ErrorDetails]]:
    try:
        return model(), []
    except ValidationError as error:
        order = list(_fields(model))
        return None, sorted(error.errors(), key=lambda each: order.index(str(each["loc"][0])))


def _source_problem(name: str) -> str | None:
    """What is wrong with the name of a source, to follow the name in a sentence; None if nothing is."""
    if name in SOURCES:
        return None
    return f"is not a source; {did_you_mean(name, SOURCES, otherwise=f'the sources are {_SOURCE_NAMES}')}"


def _groups(environment: Mapping[str, str], settings: WatchSettings | None) -> tuple[tuple[WatchGroup, ...], list[str]]:
    """The groups of the watchlist, and its mistakes."""
    path = environment.get(PREFIX + "WATCHLIST")
    if not path or is_object(path):
        return (), []
    try:
        content = watchlist_file.read(Path(path))
    except WatchlistUnavailable as error:
        return (), [str(error)]
    groups, mistakes = _parsed(content, settings or WatchSettings.model_construct())
    return groups, [f"{path}: {mistake}" for mistake in mistakes]


def _parsed(content: bytes, settings: WatchSettings) -> tuple[tuple[WatchGroup, ...], list[str]]:
    """The groups of a watchlist, or its mistakes."""
    defaults = Defaults(settings.poll_interval_seconds, settings.calendar, settings.source)
    try:
        return parse(content, defaults, SOURCES), []
    except InvalidWatchlist as error:
        return (), error.mistakes


def _symbol_mistakes(environment: Mapping[str, str], used: Collection[str]) -> list[str]:
    """What is wrong with the presence of symbols. It looks at the environment, so that no other mistake hides it."""
    symbols = environment.get(PREFIX + "SYMBOLS", "")
    if environment.get(PREFIX + "WATCHLIST"):
        both = f"{PREFIX}SYMBOLS: set beside {PREFIX}WATCHLIST; name the symbols in only one of them"
        return [both] if symbols else []
    return [
        f"{PREFIX}SYMBOLS: missing; the source {name} needs them, as in AAPL,MSFT,BTC-USD"
        for name in _NEEDING_SYMBOLS
        if name in used and not symbols.strip(" ,")
    ]


def _variables() -> Iterator[tuple[str, tuple[str, str]]]:
    for name, field in _fields(Settings).items():
        yield PREFIX + name.upper(), ("required" if field.is_required() else _default(field), field.description or "")
    for definition in SOURCES.values():
        prefix = definition.settings.model_config["env_prefix"]
        for name, field in definition.settings.model_fields.items():
            needed = f"; required for {definition.name}" if field.is_required() else ""
            yield prefix + name.upper(), (_default(field), (field.description or "") + needed)


def _default(field: FieldInfo) -> str:
    if field.is_required() or field.default in (None, ()):
        return ""
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default)


VARIABLES: dict[str, tuple[str, str]] = dict(_variables())
"""The default and the description of each variable, for `--help` and the README."""


def _unknown_variables(environment: Mapping[str, str]) -> list[str]:
    return [
        _unknown(name)
        for name, value in sorted(environment.items())
        if name.upper().startswith(PREFIX) and name not in VARIABLES and not is_service_variable(name, value)
    ]


def _unknown(name: str) -> str:
    otherwise = "run --help lists the variables"
    return f"{name}: unknown; {did_you_mean(name.upper(), VARIABLES, otherwise=otherwise, prefix=PREFIX)}"


def _described(error: ErrorDetails, prefix: str) -> str:
    """A validation error in words for the user."""
    name = prefix + str(error["loc"][0]).upper()
    if error["type"] == "missing":
        return f"{name}: missing; {VARIABLES[name][1]}"
    problem = error["msg"].removeprefix("Value error, ")
    value = error["input"]
    text = ",".join(value) if isinstance(value, tuple) else value
    return f"{name}: {text!r:.80}: {problem[0].lower()}{problem[1:]}"
