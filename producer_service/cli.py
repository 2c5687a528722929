"""The command line, and the composition root: the one place that knows every part."""

from __future__ import annotations

import os
import platform
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, NoReturn

import msgspec
import typer
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from producer_service import logs
from producer_service.daemon import Daemon
from producer_service.errors import ConfigurationError, JournalError, StreamUnreachable
from producer_service.health import Health
from producer_service.http import Server
from producer_service.journal import Journal
from producer_service.kinesis import KinesisStream, Stream
from producer_service.ledger import Ledger
from producer_service.metrics import Metrics
from producer_service.outbox import Outbox
from producer_service.polling import Poller
from producer_service.sender import Sender
from producer_service.settings import PREFIX, VARIABLES, Settings, check_lanes, from_environment
from producer_service.sources import Source
from quotes import VERSION as WIRE_VERSION
from quotes import whole_milliseconds

EXIT_FAILED = 1
EXIT_CONFIGURATION = 2
ONCE_SECONDS = 30

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Poll market quotes and deliver them to Kinesis, in order and without loss.",
    epilog="Settings are environment variables; `run --help` lists them. AWS endpoint, region and credentials come the "
    "SDK's own way: AWS_ENDPOINT_URL, AWS_DEFAULT_REGION, AWS_PROFILE, …",
)


def _variables() -> str:
    lines = []
    for name, (default, description) in VARIABLES.items():
        lines.append(f"\b\n{name}{f'  [{default}]' if default else ''}\n    {description}")
    return "Environment variables [default]:\n\n" + "\n\n".join(lines)


@app.command(epilog=_variables())
def run() -> None:
    """Poll on a schedule and deliver, until SIGTERM (then: drain and exit 0) or the end of a replay."""
    settings = _settings()
    with _refusing():
        parts = _Parts(settings)
        server = _server(settings, parts)
    with parts:
        daemon = Daemon(
            settings,
            poller=parts.poller,
            outbox=parts.outbox,
            stream=parts.stream,
            sender=parts.sender,
            metrics=parts.metrics,
            health=parts.health,
            server=server,
            stopping=parts.stopping,
        )
        code = daemon.run()
    sys.stdout.flush()
    # A poll may still wait for its source, for as long as the source's timeouts, and what it brings is not wanted.
    os._exit(code)


@app.command(epilog=_variables())
def once() -> None:
    """Poll once, deliver, and print what was done as JSON. Exits 1 if something was not delivered."""
    settings = _settings()
    with _refusing():
        parts = _Parts(settings)
    with parts:
        parts.sender.start()
        report = parts.poller.poll_all()
        parts.poller.close()
        delivered = parts.outbox.wait_until_empty(ONCE_SECONDS)
        parts.sender.stop()
        fields = {} if report is None else msgspec.structs.asdict(report)
        _print({**fields, "undelivered": parts.outbox.level().quotes})
    raise SystemExit(0 if delivered and report is not None and not report.failures else EXIT_FAILED)


@app.command(epilog=_variables())
def check() -> None:
    """Check the settings, the stream and the source, one line each, and deliver nothing. Exits 1 if one fails."""
    settings = _settings()
    with _refusing():
        source = make_source(settings)
        stream = KinesisStream(settings.stream_name, settings.requests_in_flight)
    ok = True
    try:
        typer.echo(f"ok    {stream.check()}")
    except StreamUnreachable as error:
        ok = False
        typer.echo(f"FAIL  {error}")
    symbols = settings.symbols or source.symbols
    result = source.fetch(symbols, _now())
    source.close()
    for failure in result.failures:
        ok = False
        typer.echo(f"FAIL  source {settings.source}: {failure.reason}: {failure.detail}")
    if result.missing:
        typer.echo(f"note  source {settings.source} has no price of {', '.join(result.missing)}")
    typer.echo(f"ok    source {settings.source} gave {len(result.quotes)} quotes of {len(symbols)} symbols asked for")
    raise SystemExit(0 if ok else EXIT_FAILED)


def make_source(settings: Settings) -> Source:
    """The source that the settings name. Each is imported when it is wanted: yfinance alone takes most of a second."""
    match settings.source:
        case "yahoo":
            from producer_service.sources.yahoo import YahooSource  # noqa: PLC0415

            return YahooSource(cache_directory=settings.yahoo_cache_dir)
        case "replay":
            from producer_service.sources.replay import ReplaySource  # noqa: PLC0415

            assert settings.replay_path is not None  # noqa: S101  (the settings checked it)
            return ReplaySource(settings.replay_path, symbols=settings.symbols, speed=settings.replay_speed)
        case "synthetic":
            from producer_service.sources.synthetic import SyntheticSource  # noqa: PLC0415

            return SyntheticSource(seed=settings.synthetic_seed)


class _Parts:
    """What `run` and `once` share, wired. Closed at the end of the `with`."""

    def __init__(self, settings: Settings) -> None:
        self.stopping = threading.Event()
        self.health = Health(time.monotonic)
        self.metrics = _metrics()
        self.stream: Stream = KinesisStream(settings.stream_name, settings.requests_in_flight)
        self.source = make_source(settings)
        symbols = settings.symbols or self.source.symbols
        if mistakes := check_lanes(tuple(symbols), settings.lanes):
            raise ConfigurationError(mistakes)
        self.outbox = Outbox(
            Journal(settings.journal_dir, settings.lanes),
            lanes=settings.lanes,
            max_bytes=settings.outbox_max_bytes,
            linger_seconds=settings.linger_seconds,
            clock=time.time,
            monotonic=time.monotonic,
            jitter=random.random,
        )
        self.metrics.recovered.inc(self.outbox.recovered)
        self.metrics.watch_outbox(self.outbox.level, time.time, limit_bytes=settings.outbox_max_bytes)
        self.metrics.watch_clock(time.time)
        self.ledger = Ledger(settings.ledger_path)
        self.poller = Poller(
            self.source,
            symbols,
            self.outbox,
            self.ledger,
            self.metrics,
            now=_now,
            stopping=self.stopping,
            advance=lambda: self.health.beat("poll"),
        )
        self.sender = Sender(
            self.outbox, self.stream, self.metrics, self.health, threads=settings.requests_in_flight, clock=time.time
        )

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        if not self.poller.is_fetching:
            self.source.close()
        self.ledger.close()
        self.outbox.close()


def _server(settings: Settings, parts: _Parts) -> Server:
    try:
        return Server(settings.http_host, settings.http_port, parts.metrics.registry, parts.health)
    except OSError as error:
        where = f"{settings.http_host}:{settings.http_port}"
        raise ConfigurationError([f"{PREFIX}HTTP_PORT: {where}: {error.strerror}; 0 takes any free port"]) from error


def _metrics() -> Metrics:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    metrics = Metrics(registry)
    metrics.build.info(
        {"python": platform.python_version(), "yfinance": version("yfinance"), "wire": str(WIRE_VERSION)}
    )
    return metrics


def _settings() -> Settings:
    try:
        settings = from_environment(os.environ)
    except ConfigurationError as error:
        _refuse(error.mistakes)
    logs.configure(settings.log_level)
    return settings


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn what cannot start into a list of mistakes and exit code 2."""
    try:
        yield
    except ConfigurationError as error:
        _refuse(error.mistakes)
    except (JournalError, OSError) as error:
        _refuse([str(error)])


def _refuse(mistakes: list[str]) -> NoReturn:
    typer.echo(f"stockstream producer: {len(mistakes)} mistake(s), nothing was started:", err=True)
    for mistake in mistakes:
        typer.echo(f"  {mistake}", err=True)
    raise SystemExit(EXIT_CONFIGURATION)


def _now() -> datetime:
    return whole_milliseconds(datetime.now(UTC))


def _print(fields: dict[str, Any]) -> None:
    sys.stdout.write(msgspec.json.encode(fields).decode() + "\n")


main: Callable[[], None] = app
