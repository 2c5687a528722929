"""The command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NoReturn

import msgspec
import typer

from producer_service import logs, polling
from producer_service.calendars import Calendar
from producer_service.daemon import Daemon
from producer_service.errors import ConfigurationError, JournalError, StreamUnreachable
from producer_service.exchanges import ALWAYS
from producer_service.group_state import calendars_of_group
from producer_service.hours import Hours
from producer_service.http import Server
from producer_service.settings import PREFIX, VARIABLES, Configuration, Settings, configuration
from producer_service.sources import Source
from producer_service.wiring import Plan, Producer, make_stream, now, plan

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
    config = _configuration()
    with _refusing():
        producer = Producer(config, make_source)
        server = _server(producer)
    with producer:
        code = Daemon(producer, server).run()
    sys.stdout.flush()
    # A poll may still wait for its source, for as long as the source's timeouts, and what it brings is not wanted.
    os._exit(code)


@app.command(epilog=_variables())
def once() -> None:
    """Poll each group once, whatever its hours, deliver, and print what was done as JSON.

    Exits 1 if something was not delivered, or a source failed.
    """
    config = _configuration()
    with _refusing():
        producer = Producer(config, make_source)
    with producer:
        producer.sender.start()
        reports = [report for poller in producer.pollers if (report := poller.poll_all()) is not None]
        producer.intake.close()
        delivered = producer.outbox.wait_until_empty(ONCE_SECONDS)
        producer.sender.stop()
        total = polling.total(reports)
        _print({**msgspec.structs.asdict(total), "undelivered": producer.outbox.counts().pending})
    raise SystemExit(0 if delivered and not (total.failures or total.paused) else EXIT_FAILED)


@app.command(epilog=_variables())
def check() -> None:
    """Check the settings, the stream and the sources, a line each; say when each group is polled; deliver nothing.

    Exits 1 if one of them fails.
    """
    config = _configuration()
    with _refusing():
        planned = plan(config, make_source)
        stream = make_stream(config.settings)
    ok = True
    try:
        typer.echo(f"ok    {stream.check()}")
    except StreamUnreachable as error:
        ok = False
        typer.echo(f"FAIL  {error}")
    for line in hours_of(planned, now()):
        typer.echo(line)
    for kind, source in planned.sources.items():
        symbols = tuple(symbol for group in planned.groups if group.source == kind for symbol in group.symbols)
        result = source.fetch(symbols, now())
        source.close()
        for failure in result.failures:
            ok = False
            typer.echo(f"FAIL  source {kind}: {failure.reason}: {failure.detail}")
        if result.missing:
            typer.echo(f"note  source {kind} has no price of {', '.join(result.missing)}")
        typer.echo(f"ok    source {kind} gave {len(result.quotes)} quotes of {len(symbols)} symbols asked for")
    raise SystemExit(0 if ok else EXIT_FAILED)


def hours_of(planned: Plan, moment: datetime) -> Iterator[str]:
    """What `check` says of each group: how much, how often, and when its exchanges open and close next."""
    for group in planned.groups:
        names = calendars_of_group(group)
        count = f"{len(group.symbols)} symbol{'s' * (len(group.symbols) != 1)}"
        yield (
            f"ok    group {group.name}: {count} every {group.interval_seconds:g} s from {group.source}, "
            f"calendar {', '.join(names)}"
        )
        for name in names:
            if name != ALWAYS:
                yield f"      {_next_times(planned.market.calendar(name), moment)}"


def _next_times(calendar: Calendar, moment: datetime) -> str:
    def said(time: datetime | None) -> str:
        if time is None:
            return "never, as far as is known"
        local = calendar.local(time)
        return f"{time:%a %Y-%m-%d %H:%M} UTC ({local:%a %H:%M} {calendar.zone})"

    phase = Hours(calendar.sessions).phase(moment)
    opens, closes = f"opens {said(phase.opens)}", f"closes {said(phase.closes)}"
    now_and_then = f"open; {closes}, {opens}" if phase.is_open else f"closed; {opens}, {closes}"
    return f"{calendar.name} is {now_and_then}"


def make_source(settings: Settings) -> Source:
    """The source that the settings name. Each is imported when it is wanted: yfinance alone takes most of a second."""
    match settings.source:
        case "yahoo":
            from producer_service.sources.yahoo.source import YahooSource  # noqa: PLC0415

            return YahooSource(cache_directory=settings.yahoo_cache_dir, extended_hours=settings.yahoo_extended_hours)
        case "replay":
            from producer_service.sources.replay.source import ReplaySource  # noqa: PLC0415

            assert settings.replay_path is not None  # noqa: S101  (the settings checked it)
            return ReplaySource(settings.replay_path, symbols=settings.symbols, speed=settings.replay_speed)
        case "synthetic":
            from producer_service.sources.synthetic import SyntheticSource  # noqa: PLC0415

            return SyntheticSource(seed=settings.synthetic_seed)


def _server(producer: Producer) -> Server:
    settings = producer.settings
    try:
        return Server(
            settings.http_host, settings.http_port, producer.metrics.registry, producer.health, producer.status.page
        )
    except OSError as error:
        where = f"{settings.http_host}:{settings.http_port}"
        raise ConfigurationError([f"{PREFIX}HTTP_PORT: {where}: {error.strerror}; 0 takes any free port"]) from error


def _configuration() -> Configuration:
    try:
        config = configuration(os.environ)
    except ConfigurationError as error:
        _refuse(error.mistakes)
    logs.configure(config.settings.log_level)
    return config


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


def _print(fields: dict[str, Any]) -> None:
    sys.stdout.write(msgspec.json.encode(fields).decode() + "\n")


main: Callable[[], None] = app
