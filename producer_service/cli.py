"""The command line: `run`, `once` and `check`."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, NoReturn

import msgspec
import structlog
import typer

from producer_service import logs
from producer_service.clock import Clock
from producer_service.daemon import Daemon
from producer_service.errors import ConfigurationError, JournalError, StreamUnreachable
from producer_service.exchanges import ALWAYS
from producer_service.group_state import GroupState
from producer_service.hours import Phase
from producer_service.http import Server
from producer_service.listener import first_result
from producer_service.market_hours import Calendar, MarketHours
from producer_service.plan import make_plan
from producer_service.poll_report import total
from producer_service.polling import failure_of
from producer_service.settings import PREFIX, VARIABLES, Configuration, Settings, configuration
from producer_service.sources import FetchResult, PushedSource, Source
from producer_service.sources.definition import SourceDefinition
from producer_service.sources.registry import SOURCES
from producer_service.wiring import Producer, group_states, make_stream
from terminal import ascii_json
from terminal.output import echo
from terminal.program import called
from terminal.version import options

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
    epilog=f"Settings are environment variables, which `{called('producer_service')} run --help` lists. The AWS SDK "
    "finds endpoint, region and credentials in its usual way: AWS_ENDPOINT_URL, AWS_DEFAULT_REGION, AWS_PROFILE, …",
)
app.callback()(options)


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
        clock = Clock()
        plan = make_plan(config, SOURCES, clock.now())
        if pushed := [name for name, source in plan.sources.items() if isinstance(source, PushedSource)]:
            raise ConfigurationError([f"{PREFIX}SOURCE: {', '.join(pushed)} cannot be polled once; use run"])
        producer = Producer(config.settings, plan, make_stream(config.settings, clock), clock)
    with producer:
        with suppress(StreamUnreachable):  # the sender tries again, and reports it
            producer.stream.check()  # before the polls, since its answer tells the time
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
        clock = Clock()
        plan = make_plan(config, SOURCES, clock.now())
        stream = make_stream(config.settings, clock)
    ok = True
    try:
        echo(f"ok    {stream.check()}")
    except StreamUnreachable as error:
        ok = False
        echo(f"FAIL  {error}")
    if wrong := round(clock.error()):
        echo(f"note  the clock of this host is {wrong:+d} s away from the time of the stream; set it")
    for line in hours_of(group_states(config.settings, plan), plan.market_hours, clock.now()):
        echo(line)
    for name, source in plan.sources.items():
        symbols = plan.symbols_of(name)
        result = _sample(source, symbols, clock.now())
        for failure in result.failures:
            ok = False
            echo(f"FAIL  source {name}: {failure.reason}: {failure.detail}")
        if result.missing:
            echo(f"note  source {name} has no price of {', '.join(result.missing)}")
        echo(f"ok    source {name} returned {len(result.quotes)} quotes of {len(symbols)} symbols")
    raise SystemExit(0 if ok else EXIT_FAILED)


def run_until_stopped(definitions: Mapping[str, SourceDefinition[Any]]) -> NoReturn:
    """Run the daemon on the environment's settings and some definitions of sources, and exit with its code."""
    with _reported_mistakes():
        config = _configuration()
        clock = Clock()
        stream = make_stream(config.settings, clock)
        producer = Producer(config.settings, make_plan(config, definitions, clock.now()), stream, clock)
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


def hours_of(states: Sequence[GroupState], market_hours: MarketHours, moment: datetime) -> Iterator[str]:
    """The lines of `check` about each group: its size, its interval, when it is polled, and its exchanges' hours."""
    for state in states:
        group, phase = state.group, state.phase(moment)
        count = f"{len(group.symbols)} symbol{'s' * (len(group.symbols) != 1)}"
        yield (
            f"ok    group {group.name}: {count} every {group.interval_seconds:g} s from {group.source}, "
            f"calendar {', '.join(state.calendars)}"
        )
        yield f"      polled {_polled(phase)}"
        for name in state.calendars:
            if name != ALWAYS:
                yield f"      {_session(market_hours.calendar(name), market_hours.session(name, moment))}"


def _polled(phase: Phase) -> str:
    if phase.is_open:
        return "now, at any time" if phase.closes is None else f"now, until {_in_utc(phase.closes)}"
    return "never, as far as is known" if phase.opens is None else f"from {_in_utc(phase.opens)}"


def _session(calendar: Calendar, phase: Phase | None) -> str:
    def in_words(time: datetime | None) -> str:
        if time is None:
            return "never, as far as is known"
        return f"{_in_utc(time)} ({calendar.local(time):%a %H:%M} {calendar.zone})"

    if phase is None:
        return f"{calendar.name} is not known, so it counts as open"
    opens, closes = f"opens {in_words(phase.opens)}", f"closes {in_words(phase.closes)}"
    return f"{calendar.name} is " + (f"open; {closes}, {opens}" if phase.is_open else f"closed; {opens}, {closes}")


def _in_utc(time: datetime) -> str:
    return f"{time:%a %Y-%m-%d %H:%M} UTC"


def _sample(source: Source, symbols: tuple[str, ...], now: datetime) -> FetchResult:
    """One result of a source, which is closed afterwards."""
    if isinstance(source, PushedSource):
        return first_result(source, ONCE_SECONDS)
    try:
        return source.fetch(symbols, now)
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
    except (OSError, ValueError) as error:  # a ValueError for a host that cannot be a name
        raise ConfigurationError([_unusable_address(settings, error)]) from error


def _unusable_address(settings: Settings, error: OSError | ValueError) -> str:
    """What is wrong with the address of the pages, and which setting to change."""
    problem = (error.strerror if isinstance(error, OSError) else None) or str(error)
    url = settings.http_url(settings.http_port)
    if isinstance(error, OSError) and error.errno in {errno.EADDRINUSE, errno.EACCES}:
        return f"{PREFIX}HTTP_PORT: {url} cannot be opened: {problem}; 0 takes any free port"
    advice = "name an address of this machine, such as 127.0.0.1 or ::1, or 0.0.0.0 or :: for all of them"
    return f"{PREFIX}HTTP_HOST: {url} cannot be opened: {problem}; {advice}"


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
    echo(f"stockstream producer: {count}, nothing was started:", err=True)
    for mistake in mistakes:
        echo(f"  {mistake}", err=True)
    raise SystemExit(EXIT_CONFIGURATION)


def _print(fields: dict[str, Any]) -> None:
    sys.stdout.write(ascii_json(msgspec.json.encode(fields).decode()) + "\n")


main: Callable[[], None] = app
