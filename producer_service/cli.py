"""The command line: `run`, `once`, `check` and `quote`."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Annotated, Any, NamedTuple, NoReturn, TypeVar

import msgspec
import structlog
import typer

from producer_service import logs
from producer_service.clock import Clock
from producer_service.daemon import Daemon
from producer_service.errors import (
    ConfigurationError,
    JournalError,
    JournalUnavailable,
    StreamUnreachable,
    WatchlistUnavailable,
    may_pass,
)
from producer_service.hours_text import closed, hours_of
from producer_service.http import Server
from producer_service.listener import first_result
from producer_service.plan import Plan, changed_plan, log_doubtful_names, make_plan, make_watch_plan
from producer_service.poll_report import total
from producer_service.polling import failure_of
from producer_service.price_lookup import look_up
from producer_service.price_table import json_line, price_table, problems
from producer_service.settings import (
    PREFIX,
    VARIABLES,
    Configuration,
    Settings,
    WatchSettings,
    configuration,
    is_object,
    quote_configuration,
    watch_configuration,
    with_watchlist,
)
from producer_service.settings_in_use import settings_without_effect
from producer_service.sources import FetchResult, PushedSource, Source, doubtful_names
from producer_service.sources.definition import SourceDefinition
from producer_service.sources.registry import DEFAULT_SOURCE, SOURCES
from producer_service.stream import Stream
from producer_service.wiring import Producer, group_state, make_stream, watchlist_store
from terminal import ascii_json
from terminal.output import echo
from terminal.program import called
from terminal.version import options

EXIT_FAILED = 1
EXIT_CONFIGURATION = 2
EXIT_INTERRUPTED = 130
ONCE_SECONDS = 30

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print prices, and deliver nothing.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print each price as a JSON line of the stream's form, with exact values.")
]

log = structlog.get_logger(__name__)

W = TypeVar("W", bound=WatchSettings)

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
    """Poll on a schedule and deliver, until SIGTERM, SIGHUP or Ctrl-C, or the end of a replay.

    These signals deliver what is pending. A second one ends the process at once.

    \b
    Exit codes:
      0  every accepted quote was delivered, or waits in the journal or in S3
      1  something was not delivered, or only a new process may help: start it again
      2  the settings are wrong, and nothing was started: correct them first
    """  # noqa: D301  (the character \\b keeps click from filling the lines)
    run_until_stopped(SOURCES)


@app.command(epilog=_variables())
def once(*, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Poll each group once, whatever its hours, deliver, and print a report as JSON.

    With --dry-run it delivers nothing: it prints the prices that the sources have. That takes no stream, no
    PRODUCER_STREAM_NAME and no AWS settings.

    Exits with 1 if a quote was not delivered, a source failed or, with --dry-run, a symbol has no price.
    """
    if dry_run:
        _show_prices(watch_configuration, SOURCES, as_json=as_json)
    if as_json:
        raise typer.BadParameter(
            "it belongs to --dry-run; the report of a delivery is JSON anyway", param_hint="--json"
        )
    with _reported_mistakes():
        config, clock, plan, stream = _prepared(SOURCES, reads_watchlist=True)
        if pushed := [name for name, source in plan.sources.items() if isinstance(source, PushedSource)]:
            advice = "use run, or once --dry-run to see its prices"
            raise ConfigurationError([f"{PREFIX}SOURCE: {', '.join(pushed)} cannot be polled once; {advice}"])
        producer = Producer(config.settings, plan, stream, clock)
    log_doubtful_names(plan)
    with _interruptible(plan), producer:
        with suppress(StreamUnreachable):  # the sender tries again, and reports it
            producer.stream.check()  # before the polls, since its answer tells the time
        producer.sender.start()
        reports = [report for poller in producer.groups.pollers if (report := poller.poll_all()) is not None]
        producer.intake.close()
        delivered = producer.outbox.wait_until_empty(ONCE_SECONDS)
        producer.sender.stop()
        report = total(reports)
        _print({**msgspec.structs.asdict(report), "undelivered": producer.outbox.counts().pending})
    is_good = delivered and not (report.failures or report.paused or producer.supervisor.has_given_up)
    raise SystemExit(0 if is_good else EXIT_FAILED)


@app.command()
def quote(
    *,
    symbols: Annotated[
        list[str] | None,
        typer.Argument(metavar="SYMBOL", show_default=False, help="A symbol, such as AAPL, VOD.L or BTC-USD."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help=f"Ask this source: {', '.join(SOURCES)}. Default: PRODUCER_SOURCE, or {DEFAULT_SOURCE}."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the prices of some symbols, such as AAPL BTC-USD, and deliver nothing.

    It takes no stream and no AWS settings. A source with symbols of its own shows them all if you name none. The
    settings of the source count, such as PRODUCER_YAHOO_EXTENDED_HOURS.

    \b
    Exit codes:
      0  every symbol has a price; a closed market has its last one
      1  a symbol has none, or the source failed
      2  wrong usage
    """  # noqa: D301
    names = tuple(dict.fromkeys(name.strip() for text in symbols or () for name in text.split(",") if name.strip()))
    _show_prices(lambda environment: quote_configuration(environment, source, names), SOURCES, as_json=as_json)


@app.command(epilog=_variables())
def check() -> None:
    """Check the settings, the stream and the sources, and print when each group is polled. Deliver nothing.

    Exits with 1 if the stream or a source fails, and with 2 if the settings are wrong.
    """
    with _reported_mistakes():
        config, clock, plan, stream = _prepared(SOURCES, reads_watchlist=True)
    with _interruptible(plan):
        ok = _checked(config, clock, plan, stream)
    raise SystemExit(0 if ok else EXIT_FAILED)


def _checked(config: Configuration[Settings], clock: Clock, plan: Plan, stream: Stream) -> bool:
    """Print the lines of `check`. Returns whether stream and sources work."""
    ok = True
    try:
        echo(f"ok    {stream.check()}")
    except StreamUnreachable as error:
        ok = False
        echo(f"FAIL  {error}")
    if wrong := round(clock.error()):
        echo(f"note  the clock of this host is {wrong:+d} s away from the time of the stream; set it")
    states = [group_state(config.settings, group, plan) for group in plan.groups]
    for line in hours_of(states, clock.now()):
        echo(line)
    for setting, why in settings_without_effect(os.environ, config, states):
        echo(f"note  {setting} has no effect: {why}")
    for name, source in plan.sources.items():
        symbols = plan.symbols_of(name)
        result = _sample(source, symbols, clock.now())
        for failure in result.failures:
            ok = False
            echo(f"FAIL  source {name}: {failure.reason}: {failure.detail}")
        for symbol in result.missing:
            hint = source.traits.hint(symbol, is_missing=True)
            echo(f"note  source {name} has no price of {symbol}{f'; {hint}' if hint else ''}")
        for symbol, hint in doubtful_names(symbols, source.traits):
            if symbol not in result.missing:
                echo(f"note  {symbol}: {hint}")
        echo(f"ok    source {name} returned {len(result.quotes)} quotes of {len(symbols)} symbols")
    return ok


def run_until_stopped(definitions: Mapping[str, SourceDefinition[Any]]) -> NoReturn:
    """Run the daemon on the environment's settings and some definitions of sources, and exit with its code."""
    with _reported_mistakes():
        config, clock, plan, stream = _prepared(definitions)
        producer = Producer(config.settings, plan, stream, clock, replan=_replanner(config, definitions, clock))
        server = _server(producer)
    log_doubtful_names(plan)
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


def _show_prices(
    configure: Callable[[Mapping[str, str]], Configuration[WatchSettings]],
    definitions: Mapping[str, SourceDefinition[Any]],
    *,
    as_json: bool,
) -> NoReturn:
    """Print what the sources of a configuration say about its symbols, and exit. Problems and notes go to stderr."""
    with _reported_mistakes():
        logs.configure("error", sys.stderr)
        clock = Clock()
        plan = make_watch_plan(_with_object(configure(os.environ), clock), definitions, clock.now())
    with _interruptible(plan):
        ok = _shown(plan, definitions, clock, as_json=as_json)
    raise SystemExit(0 if ok else EXIT_FAILED)


def _shown(plan: Plan, definitions: Mapping[str, SourceDefinition[Any]], clock: Clock, *, as_json: bool) -> bool:
    """Print the prices of a plan, and what is wrong. Returns whether every symbol has a price."""
    ok = True
    for name, source in plan.sources.items():
        if not as_json:
            echo(f"{name}: {definitions[name].description}")
        answers = look_up(source, plan.symbols_of(name), clock.now)
        quotes = [answer.quote for answer in answers if answer.quote is not None]
        for line in map(json_line, quotes) if as_json else price_table(quotes):
            echo(line)
        for problem in problems(answers):
            ok = False
            echo(f"FAIL  {problem}", err=True)
        for answer in answers:
            if answer.quote is not None and answer.hint is not None:
                echo(f"note  {answer.symbol}: {answer.hint}", err=True)
    for calendar in plan.calendars:
        phase = plan.market_hours.session(calendar, clock.now())
        if phase is not None and not phase.is_open:
            echo(f"note  {closed(plan.market_hours.calendar(calendar), phase)}", err=True)
    return ok


@contextmanager
def _interruptible(plan: Plan) -> Iterator[None]:
    """At a Ctrl-C, end the process at once, without waiting for requests whose answers nobody wants any more."""
    try:
        yield
    except KeyboardInterrupt:
        for source in plan.sources.values():
            source.close()
        os._exit(EXIT_INTERRUPTED)


def _sample(source: Source, symbols: tuple[str, ...], now: datetime) -> FetchResult:
    """One result of a source, which is closed afterwards."""
    if isinstance(source, PushedSource):
        return first_result(source, symbols, lambda: now, ONCE_SECONDS)
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


class _Prepared(NamedTuple):
    config: Configuration[Settings]
    clock: Clock
    plan: Plan
    stream: Stream


def _with_object(config: Configuration[W], clock: Clock) -> Configuration[W]:
    """The configuration with the groups of the watchlist, if that is in S3. Raises `ConfigurationError`."""
    location = config.settings.watchlist
    if location is None or not is_object(location):
        return config
    try:
        found = watchlist_store(location, clock).read(None)
    except WatchlistUnavailable as error:
        raise ConfigurationError([f"{PREFIX}WATCHLIST: {error}"]) from error
    return config if found is None else with_watchlist(config, found.content)


def _replanner(
    config: Configuration[Settings], definitions: Mapping[str, SourceDefinition[Any]], clock: Clock
) -> Callable[[bytes, Plan], Plan]:
    """Makes the plan for the content of another watchlist, given the plan before."""
    return lambda content, before: changed_plan(with_watchlist(config, content), definitions, before, clock.now())


def _prepared(definitions: Mapping[str, SourceDefinition[Any]], *, reads_watchlist: bool = False) -> _Prepared:
    """What a delivery needs. Raises `ConfigurationError` with the mistakes of settings, sources and AWS settings.

    Without `reads_watchlist`, a watchlist in S3 is left to the daemon, which waits until it is there.
    """
    clock = Clock()
    config = plan = None
    mistakes: list[str] = []
    try:
        config = configuration(os.environ)
        logs.configure(config.settings.log_level)
        config = _with_object(config, clock) if reads_watchlist else config
        plan = make_plan(config, definitions, clock.now())
    except ConfigurationError as error:
        mistakes += error.mistakes
    # The mistakes in the AWS settings do not depend on the others, so they are found beside them.
    settings = config.settings if config else Settings.model_construct(stream_name="unknown")
    try:
        stream = make_stream(settings, clock)
    except ConfigurationError as error:
        mistakes += error.mistakes
    if mistakes or config is None or plan is None:
        raise ConfigurationError(mistakes)
    return _Prepared(config, clock, plan, stream)


@contextmanager
def _reported_mistakes() -> Iterator[None]:
    """Print what keeps the producer from starting, and exit: with 1 if a restart may help, else with 2."""
    try:
        yield
    except ConfigurationError as error:
        _refuse(error.mistakes)
    except JournalUnavailable as error:
        _refuse([str(error)], EXIT_FAILED)
    except JournalError as error:
        _refuse([str(error)])
    except OSError as error:
        _refuse([str(error)], EXIT_FAILED if may_pass(error) else EXIT_CONFIGURATION)


def _refuse(mistakes: list[str], code: int = EXIT_CONFIGURATION) -> NoReturn:
    count = f"{len(mistakes)} mistake{'s' * (len(mistakes) != 1)}"
    echo(f"stockstream producer: {count}, nothing was started:", err=True)
    for mistake in mistakes:
        echo(f"  {mistake}", err=True)
    raise SystemExit(code)


def _print(fields: dict[str, Any]) -> None:
    sys.stdout.write(ascii_json(msgspec.json.encode(fields).decode()) + "\n")


main: Callable[[], None] = app
