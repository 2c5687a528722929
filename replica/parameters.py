"""The parameters of a demo: what a person typed, checked as a whole before anything is built or started.

Every mistake is found at once, and named in the words that the person used: the option, and the variable of `make`.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import get_args

import msgspec

from deployment.alert_rules import checked_rules
from deployment.errors import DeploymentError
from producer_service.errors import ConfigurationError
from producer_service.plan import make_plan
from producer_service.settings import PREFIX, Configuration, Settings, configuration
from producer_service.sources import synthetic
from producer_service.sources.registry import SOURCES
from producer_service.sources.replay import ReplaySettings
from producer_service.sources.replay.recordings import BARS_SUFFIX
from quotes import is_symbol
from replica import kept_archive
from replica.emulator import HOST
from replica.errors import ReplicaError
from replica.pipeline import LatencyMode
from workspace import demo_record

MIN_SECONDS = 1
REPLAY = "replay"
YAHOO_STREAM = "yahoo_stream"
_SETTINGS = {
    "source": "SOURCE",
    "symbols": "SYMBOLS",
    "interval": "POLL_INTERVAL_SECONDS",
    "replay_path": "REPLAY_PATH",
    "replay_speed": "REPLAY_SPEED",
    "replay_timezone": "REPLAY_TIMEZONE",
    "replay_stamp": "REPLAY_STAMP",
}
"""The settings of the producer that parameters stand for, without their prefix."""
MODES: tuple[LatencyMode, ...] = get_args(LatencyMode)
DEFAULT_MODE: LatencyMode = "fast"
_DEFAULTS = {"SOURCE": synthetic.DEFINITION.name, "POLL_INTERVAL_SECONDS": "1", "DRAIN_SECONDS": "110"}
"""The settings of the producer that have other defaults in a demo."""
_FAST_DEFAULTS = {"LINGER_SECONDS": "0.005"}
"""Those in fast mode, as in infra/cloudformation/producer.yaml."""
_OWN_SETTINGS = ("STREAM_NAME", "CALENDARS_TABLE", "JOURNAL_DIR", "ACCEPTED_LOG_PATH", "HTTP_PORT")
"""The settings of the producer that the demo decides."""
_QUIET_LEVELS = ("warning", "error")


class WrongParameters(ReplicaError):
    """The demo cannot run as it was asked to. Each mistake is one line for the person who started it."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class Typed(msgspec.Struct, frozen=True, kw_only=True):
    """The options as they were typed. None, or an empty text, is an option that was not given."""

    seconds: str | None = None
    source: str | None = None
    symbols: str | None = None
    interval: str | None = None
    latency: str | None = None
    replay_path: str | None = None
    replay_speed: str | None = None
    replay_timezone: str | None = None
    replay_stamp: str | None = None
    rules: str | None = None
    summary: str | None = None
    keep: str | None = None
    port: str | None = None
    auth: bool = False


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What a demo does."""

    settings: Mapping[str, str]
    """Settings of the producer, without their prefix."""
    seconds: float | None = None
    """How long it runs. None: until Ctrl-C or the end of a replay."""
    latency: LatencyMode = DEFAULT_MODE
    """How the function reads the stream."""
    rules: Path | None = None
    """The alert rules. None: the default ones."""
    summary: Path | None = None
    """The file that gets the result as JSON."""
    archive: Path | None = None
    """The directory that gets the archive. None: the one of the demo's stage."""
    port: int | None = None
    """The port of the dashboard. None: 8000, or a free one if that is in use."""
    policies_enforced: bool = False


def name_of(parameter: str) -> str:
    """A parameter as people type it: the option, and the variable of `make`."""
    return f"--{parameter.replace('_', '-')} / {parameter.upper()}"


def checked(typed: Typed, environment: Mapping[str, str], now: datetime) -> Parameters:
    """The parameters, if they are right. Raises `WrongParameters` with every mistake.

    `environment` has settings of the producer too, which reach it unchanged.
    """
    mistakes: list[str] = []
    environment = dict(environment)
    latency = _latency(typed.latency, mistakes)
    settings = _settings(typed, environment, latency)
    seconds = _seconds(typed.seconds, mistakes)
    mistakes += _overlaps(typed, environment)
    mistakes += _symbol_mistakes(typed, settings.get("SOURCE") or environment[PREFIX + "SOURCE"])
    mistakes += _producer_mistakes(typed, environment, settings, now)
    rules = _path(typed.rules)
    if rules is not None:
        try:
            checked_rules(rules)
        except DeploymentError as error:
            mistakes += [f"{name_of('rules')}: {line}" for line in str(error).splitlines()]
    summary = _path(typed.summary)
    if summary is not None and (problem := _summary_problem(summary)):
        mistakes.append(f"{name_of('summary')}: {problem}")
    archive = _path(typed.keep)
    if archive is not None and (problem := kept_archive.problem_of(archive) or _in_use(archive)):
        mistakes.append(f"{name_of('keep')}: {problem}")
    port = _port(typed.port, mistakes)
    if typed.auth and shutil.which("openssl", path=environment.get("PATH")) is None:
        mistakes.append("--auth / AUTH: needs the program openssl, which is not installed")
    if mistakes:
        raise WrongParameters(mistakes)
    return Parameters(
        settings=settings,
        seconds=seconds,
        latency=latency,
        rules=rules,
        summary=summary,
        archive=archive,
        port=port,
        policies_enforced=typed.auth,
    )


def _path(text: str | None) -> Path | None:
    """The absolute path of what was typed, by which every message names it."""
    return Path(text).expanduser().absolute() if text else None


def _latency(text: str | None, mistakes: list[str]) -> LatencyMode:
    for mode in MODES:
        if mode == (text or DEFAULT_MODE):
            return mode
    mistakes.append(f"{name_of('latency')}: {text!r:.80}: must be {' or '.join(MODES)}")
    return DEFAULT_MODE


def _settings(typed: Typed, environment: Mapping[str, str], latency: LatencyMode) -> dict[str, str]:
    """The producer's settings. What was not typed and is not in the environment has the default of the demo."""
    given = {name: getattr(typed, parameter) for parameter, name in _SETTINGS.items() if getattr(typed, parameter)}
    if typed.replay_path:
        given["REPLAY_PATH"] = str(_path(typed.replay_path))
    defaults = _DEFAULTS | (_FAST_DEFAULTS if latency == "fast" else {})
    return {name: value for name, value in defaults.items() if not environment.get(PREFIX + name)} | given


def _seconds(text: str | None, mistakes: list[str]) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if MIN_SECONDS <= seconds < math.inf:
        return seconds
    mistakes.append(
        f"{name_of('seconds')}: {text!r:.80}: is not a number of seconds from {MIN_SECONDS} on; without it, the demo "
        "runs until Ctrl-C or the end of a replay"
    )
    return None


def _port(text: str | None, mistakes: list[str]) -> int | None:
    """A port that is free now."""
    if not text:
        return None
    port = int(text) if text.isascii() and text.isdecimal() else 0
    if not 0 < port < 2**16:
        mistakes.append(f"{name_of('port')}: {text!r:.80}: is no port, which is a number from 1 to 65535")
        return None
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        mistakes.append(
            f"{name_of('port')}: {port}: the dashboard cannot listen there: {error.strerror or error}; name another "
            "port, or none for a free one"
        )
    return port


def _symbol_mistakes(typed: Typed, source: str) -> Iterator[str]:
    """What the producer would accept, and what is a mistake of typing."""
    symbols = [symbol.strip() for symbol in (typed.symbols or "").split(",") if symbol.strip()]
    if twice := sorted({symbol for symbol in symbols if symbols.count(symbol) > 1}):
        yield f"{name_of('symbols')}: named twice: {', '.join(twice)}"
    # A recording may name its symbols in any way. The exchanges use capitals.
    if source != REPLAY and (small := [symbol for symbol in symbols if is_symbol(symbol) and symbol != symbol.upper()]):
        yield f"{name_of('symbols')}: {', '.join(small)}: did you mean {', '.join(small).upper()}?"


def _in_use(directory: Path) -> str | None:
    stage = next((record.stage for record in demo_record.running() if record.archive == str(directory)), None)
    return None if stage is None else f"the demo that runs as stage {stage} leaves its archive in {directory}"


def _summary_problem(file: Path) -> str | None:
    if file.is_dir():
        return f"{file} is a directory; name a file"
    if not file.parent.is_dir():
        return f"there is no directory {file.parent}"
    if not file.exists():
        return kept_archive.writing_problem(file.parent)
    try:
        file.open("ab").close()
    except OSError as error:
        return f"{file} cannot be written: {error.strerror or error}"
    return None


def _overlaps(typed: Typed, environment: Mapping[str, str]) -> Iterator[str]:
    """The variables of the environment that would have no effect, or would break the demo."""
    for parameter, setting in _SETTINGS.items():
        if getattr(typed, parameter) and environment.get(PREFIX + setting):
            yield f"{name_of(parameter)}: set beside {PREFIX}{setting} in the environment; set only one of them"
    for setting in _OWN_SETTINGS:
        if environment.get(PREFIX + setting):
            yield f"{PREFIX}{setting}: the demo sets it; unset it"
    level = environment.get(PREFIX + "LOG_LEVEL", "").lower()
    if level in _QUIET_LEVELS:
        yield f"{PREFIX}LOG_LEVEL: {level!r}: the demo reads the producer's log from the level info on; unset it"


def _producer_mistakes(
    typed: Typed, environment: Mapping[str, str], settings: Mapping[str, str], now: datetime
) -> list[str]:
    """What the producer refuses, and the parameters that have no effect on it."""
    of_producer = {
        **{name: value for name, value in environment.items() if not name.startswith("AWS_")},
        PREFIX + "STREAM_NAME": "demo",
        **{PREFIX + name: value for name, value in settings.items()},
    }
    config: Configuration[Settings] | None = None
    refused: list[str] = []
    with _as_environment(of_producer):
        try:
            config = configuration(of_producer)
            if REPLAY in config.source_settings:  # the only source that can be wrong without a network
                make_plan(config, SOURCES, now)
        except ConfigurationError as error:
            refused = error.mistakes
    translated = [_translated(mistake, typed, environment) for mistake in refused]
    if config is not None:
        return translated + list(_useless(typed, config))
    if of_producer.get(PREFIX + "WATCHLIST"):  # it could not be read, and may name any source
        return translated
    return translated + list(_useless_replay(typed, {of_producer[PREFIX + "SOURCE"]}))


def _useless(typed: Typed, config: Configuration[Settings]) -> Iterator[str]:
    """The parameters that have no effect."""
    yield from _useless_replay(typed, set(config.source_settings))
    replay = config.source_settings.get(REPLAY)
    if config.groups:
        default = config.settings.poll_interval_seconds
        for parameter, is_used in (
            ("source", config.settings.source in config.source_settings),
            ("interval", any(group.interval_seconds == default for group in config.groups)),
        ):
            if getattr(typed, parameter) and not is_used:
                yield f"{name_of(parameter)}: has no effect; every group of {PREFIX}WATCHLIST names its own"
    elif typed.interval and isinstance(replay, ReplaySettings) and not replay.speed:
        yield (
            f"{name_of('interval')}: has no effect on a replay as fast as possible; set {name_of('replay_speed')} too, "
            "or leave it out"
        )
    elif typed.interval and config.settings.source == YAHOO_STREAM:
        yield (
            f"{name_of('interval')}: has no effect on a stream of prices; set "
            f"{PREFIX}YAHOO_STREAM_RECONCILE_SECONDS for the polls beside it, or leave it out"
        )
    if isinstance(replay, ReplaySettings) and replay.path.exists() and not _has_bars(replay.path):
        for parameter in ("replay_timezone", "replay_stamp"):
            if getattr(typed, parameter):
                yield f"{name_of(parameter)}: has an effect only on bars, and {replay.path} has no *{BARS_SUFFIX}"


def _useless_replay(typed: Typed, used: set[str]) -> Iterator[str]:
    if REPLAY in used:
        return
    for parameter in _SETTINGS:
        if parameter.startswith("replay_") and getattr(typed, parameter):
            yield f"{name_of(parameter)}: has an effect only on a replay; set --source replay / SOURCE=replay too"


def _has_bars(path: Path) -> bool:
    if path.is_dir():
        return next(path.rglob(f"*{BARS_SUFFIX}"), None) is not None
    return path.name.endswith(BARS_SUFFIX)


def _translated(mistake: str, typed: Typed, environment: Mapping[str, str]) -> str:
    """A mistake of the producer, with the names of parameters for the settings that are not in the environment."""
    parameters = {
        PREFIX + setting: parameter for parameter, setting in _SETTINGS.items() if not environment.get(PREFIX + setting)
    }
    text = re.sub(
        rf"\b{PREFIX}[A-Z_]+\b",
        lambda match: name_of(parameters[match[0]]) if match[0] in parameters else match[0],
        mistake,
    )
    path = _path(typed.replay_path)
    return f"{name_of('replay_path')}: {text}" if path is not None and text.startswith(str(path)) else text


@contextmanager
def _as_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Make these the environment of this process, where pydantic-settings reads them, until the block ends."""
    before = dict(os.environ)
    try:
        os.environ.clear()
        os.environ.update(variables)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
