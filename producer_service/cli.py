"""The command line: `run`, `once` and `check`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, NoReturn

import msgspec
import structlog
import typer

from producer_service import logs
from producer_service.daemon import Daemon
from producer_service.errors import ConfigurationError, JournalError, StreamUnreachable
from producer_service.exchanges import ALWAYS
from producer_service.group_state import calendars_of_group
from producer_service.hours import Hours
from producer_service.http import Server
from producer_service.listener import first_result
from producer_service.market_hours import Calendar
from producer_service.plan import Plan, make_plan
from producer_service.poll_report import total
from producer_service.polling import failure_of
from producer_service.settings import PREFIX, VARIABLES, Configuration, configuration
from producer_service.sources import FetchResult, PushedSource, Source
from producer_service.sources.definition import SourceDefinition
from producer_service.sources.registry import SOURCES
from producer_service.wiring import Producer, make_stream, now

EXIT_FAILED = 1
EXIT_CONFIGURATION = 2
ONCE_SECONDS = 30

log = structlog.get_logger(__name__)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Poll market quotes and deliver them to Kinesis, in order and without loss.",
    epilog="Settings are environment variables, which `run --help` lists. The AWS SDK finds endpoint, region and "
    "credentials in its usual way: AWS_ENDPOINT_URL, AWS_DEFAULT_REGION, AWS_PROFILE, …",
)


def _variables() -> str:
    lines = []
    for name, (default, description) in VARIABLES.items():
        lines.append(f"\b\n{name}{f'  [{default}]' if default else ''}\n    {description}")
    return "Environment variables [default]:\n\n" + "\n\n".join(lines)


@app.command(epilog=_variables())
def run() -> None:
    """Poll on a schedule and deliver, until SIGTERM or the end of a replay.

    SIGTERM delivers what is pending and exits with 0. A second one exits at once.
    """
    run_until_stopped(SOURCES)


@app.command(epilog=_variables())
def once() -> None:
    """Poll each group once, whatever its hours, deliver, and print a report as JSON.

    Exits with 1 if a quote was not delivered or a source failed.
    """
    with _reported_mistakes():
        config = _configuration()
        plan = make_plan(config, SOURCES, now())
        if pushed := [name for name, source in plan.sources.items() if isinstance(source, PushedSource)]:
            raise ConfigurationError([f"{PREFIX}SOURCE: {', '.join(pushed)} cannot be polled once; use run"])
        producer = Producer(config.settings, plan, make_stream(config.settings))
    with producer:
        producer.sender.start()
        reports = [report for poller in producer.pollers if (report := poller.poll_all()) is not None]
        producer.intake.close()
        delivered = producer.outbox.wait_until_empty(ONCE_SECONDS)
        producer.sender.stop()
        report = total(reports)
        _print({**msgspec.structs.asdict(report), "undelivered": producer.outbox.counts().pending})
    is_good = delivered and not (report.failures or report.paused or producer.supervisor.has_given_up)
    raise SystemExit(0 if is_good else EXIT_FAILED)


@app.command(epilog=_variables())
def check() -> None:
    """Check the settings, the stream and the sources, and print when each group is polled. Deliver nothing.

    Exits with 1 if the stream or a source fails.
    """
    with _reported_mistakes():
        config = _configuration()
        plan = make_plan(config, SOURCES, now())
        stream = make_stream(config.settings)
    ok = True
    try:
        typer.echo(f"ok    {stream.check()}")
    except StreamUnreachable as error:
        ok = False
        typer.echo(f"FAIL  {error}")
    for line in hours_of(plan, now()):
        typer.echo(line)
    for name, source in plan.sources.items():
        symbols = plan.symbols_of(name)
        result = _sample(source, symbols)
        for failure in result.failures:
            ok = False
            typer.echo(f"FAIL  source {name}: {failure.reason}: {failure.detail}")
        if result.missing:
            typer.echo(f"note  source {name} has no price of {', '.join(result.missing)}")
        typer.echo(f"ok    source {name} returned {len(result.quotes)} quotes of {len(symbols)} symbols")
    raise SystemExit(0 if ok else EXIT_FAILED)


def run_until_stopped(definitions: Mapping[str, SourceDefinition[Any]]) -> NoReturn:
    """Run the daemon on the environment's settings and some definitions of sources, and exit with its code."""
    with _reported_mistakes():
        config = _configuration()
        stream = make_stream(config.settings)
        producer = Producer(config.settings, make_plan(config, definitions, now()), stream)
        server = _server(producer)
    code = EXIT_FAILED
    try:
        with producer:
            code = Daemon(producer, server).run()
    except BaseException:
        log.exception("crashed", action="the process ends, and its restart continues with the journal")
        code = EXIT_FAILED
    finally:
        with suppress(OSError, ValueError):  # nobody reads the log any more
            sys.stdout.flush()
        # A poll may still wait for its source, as long as the source's timeouts allow. Its result is no longer wanted,
        # and a process whose main thread has ended must not stay because of it.
        os._exit(code)


def hours_of(plan: Plan, moment: datetime) -> Iterator[str]:
    """The lines of `check` about each group: its size, its interval, and when its exchanges open and close next."""
    for group in plan.groups:
        names = calendars_of_group(group, plan.sources[group.source].traits)
        count = f"{len(group.symbols)} symbol{'s' * (len(group.symbols) != 1)}"
        yield (
            f"ok    group {group.name}: {count} every {group.interval_seconds:g} s from {group.source}, "
            f"calendar {', '.join(names)}"
        )
        for name in names:
            if name != ALWAYS:
                yield f"      {_next_times(plan.market_hours.calendar(name), moment)}"


def _next_times(calendar: Calendar, moment: datetime) -> str:
    def in_words(time: datetime | None) -> str:
        if time is None:
            return "never, as far as is known"
        local = calendar.local(time)
        return f"{time:%a %Y-%m-%d %H:%M} UTC ({local:%a %H:%M} {calendar.zone})"

    phase = Hours(calendar.sessions).phase(moment)
    opens, closes = f"opens {in_words(phase.opens)}", f"closes {in_words(phase.closes)}"
    return f"{calendar.name} is " + (f"open; {closes}, {opens}" if phase.is_open else f"closed; {opens}, {closes}")


def _sample(source: Source, symbols: tuple[str, ...]) -> FetchResult:
    """One result of a source, which is closed afterwards."""
    if isinstance(source, PushedSource):
        return first_result(source, ONCE_SECONDS)
    try:
        return source.fetch(symbols, now())
    except Exception as error:  # noqa: BLE001  (whatever a client library raises)
        return FetchResult(failures=(failure_of(error, symbols),))
    finally:
        source.close()


def _server(producer: Producer) -> Server:
    settings = producer.settings
    try:
        return Server(
            settings.http_host, settings.http_port, producer.metrics.registry, producer.health, producer.status.page
        )
    except OSError as error:
        address = f"{settings.http_host}:{settings.http_port}"
        raise ConfigurationError([f"{PREFIX}HTTP_PORT: {address}: {error.strerror}; 0 takes any free port"]) from error


def _configuration() -> Configuration:
    config = configuration(os.environ)
    logs.configure(config.settings.log_level)
    return config


@contextmanager
def _reported_mistakes() -> Iterator[None]:
    """Print what keeps the producer from starting, and exit with 2."""
    try:
        yield
    except ConfigurationError as error:
        _refuse(error.mistakes)
    except (JournalError, OSError) as error:
        _refuse([str(error)])


def _refuse(mistakes: list[str]) -> NoReturn:
    count = f"{len(mistakes)} mistake{'s' * (len(mistakes) != 1)}"
    typer.echo(f"stockstream producer: {count}, nothing was started:", err=True)
    for mistake in mistakes:
        typer.echo(f"  {mistake}", err=True)
    raise SystemExit(EXIT_CONFIGURATION)


def _print(fields: dict[str, Any]) -> None:
    sys.stdout.write(msgspec.json.encode(fields).decode() + "\n")


main: Callable[[], None] = app
