"""How fast the whole pipeline is, and where the time goes.

It runs the real producer, an emulator of AWS with the deployed function, and the event source of the replica, in
processes of their own. It offers them quotes at fixed rates, and as fast as they take them, and prints for each run the
rate, the latency from the receipt of a quote (`ingest_time`) to its stored row, where that time goes, the CPU of each
part, and the calls and dollars for a million quotes. docs/latency.md explains the figures and has a table of them.

Quotes arrive steadily: what is due is offered every 10 ms, whether or not the pipeline keeps up, and a quote counts as
received when it is due. A run that does not keep up shows its backlog in place of a latency.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar, get_args

import msgspec

from benchmarks import pipeline_page
from benchmarks.pipeline_run import (
    CATCH_UP_SECONDS,
    MOST_SYMBOLS,
    WARM_UP_SECONDS,
    Case,
    Quotes,
    Result,
    Run,
    quotes_of,
)
from benchmarks.pipeline_table import table
from deployment.errors import DeploymentError
from replica.errors import ReplicaError
from replica.pipeline import LatencyMode
from terminal.output import echo, echo_error

RECORDINGS = "STOCKSTREAM_RECORDINGS"
RECORDED_BARS = Path("minute") / "eqker"
MODES: tuple[LatencyMode, ...] = get_args(LatencyMode)
KINDS: tuple[Quotes, ...] = get_args(Quotes)
T = TypeVar("T", bound=str)
AS_FAST_AS_IT_GOES = "max"
RATES = (AS_FAST_AS_IT_GOES, "10", "100", "1000", "5000")
MOST_QUOTES_A_SECOND = 20_000
MIN_SECONDS, MAX_SECONDS = 1.0, 600.0
MOST_QUOTES = 300_000
"""The most quotes of one run. The emulator, the producer and this process keep them in memory."""
EPILOG = f"""\
quotes:
  synthetic  generated quotes with the present time, of at most {MOST_SYMBOLS} symbols that take turns
  recorded   minute bars of {RECORDINGS}, a directory with {RECORDED_BARS}/SYMBOL_1min.csv. They keep their times, so
             many minutes of the market pass in a second. Without the variable they are left out, which is said.

examples:
  python -m benchmarks.pipeline                                  everything (about 12 minutes)
  python -m benchmarks.pipeline --rates 100 --mode fast          one rate in one mode (half a minute)
  python -m benchmarks.pipeline --rates max --quotes synthetic   only the throughput
  python -m benchmarks.pipeline --json > latency.jsonl           one JSON line for each run, and no table
  python -m benchmarks.pipeline --page docs/latency.md           also write the table into the page

Latencies depend on what else the machine does, so keep it quiet. Progress goes to stderr. Each run starts with an empty
emulator, so its first seconds are not measured: the function starts cold, and reads the stored bars of new symbols.
At its end, a run waits at most {CATCH_UP_SECONDS:.0f} s for what is not stored yet.
A run has at most {MOST_QUOTES:,} quotes, since they are kept in memory.
Exit codes: 0 if nothing was lost, 1 if a quote was lost or a part failed, 2 if an option is wrong, 130 after Ctrl-C.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for. Returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    _check(parser, options)
    recordings = _recordings(parser, options.quotes)
    cases = _cases(options, recordings)
    results = []
    try:
        for result in _results(cases, options, recordings):
            results.append(result)
            if options.json:
                sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
                sys.stdout.flush()
    except (ReplicaError, DeploymentError, TimeoutError) as error:
        echo_error(error)
        return 1
    finally:
        if results and not options.json:
            for line in table(results):
                echo(line)
    if options.page is not None:
        pipeline_page.write(options.page, results)
    return int(any(result.lost for result in results))


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exit with what is wrong with options that are right each by itself."""
    if options.page is not None and (problem := pipeline_page.problem_of(options.page)):
        parser.error(problem)
    for rate in options.rates:
        if (quotes := quotes_of(rate, options.seconds, options.warm_up)) > MOST_QUOTES:
            parser.error(
                f"a run of {quotes:,} quotes is too long: at most {MOST_QUOTES:,}, so lower --seconds or --rates"
            )


def _cases(options: argparse.Namespace, recordings: Path | None) -> list[Case]:
    return [
        Case(mode=mode, quotes=quotes, rate=rate)
        for mode in options.mode
        for quotes in options.quotes
        if quotes != "recorded" or recordings is not None
        for rate in options.rates
    ]


def _results(cases: Sequence[Case], options: argparse.Namespace, recordings: Path | None) -> Iterator[Result]:
    for number, case in enumerate(cases, start=1):
        rate = "as fast as it goes" if case.rate is None else f"{case.rate:,.0f} quotes/s"
        name = f"[{number}/{len(cases)}] {case.mode}, {case.quotes} quotes, {rate}"
        echo(name, err=True)
        run = Run(case, seconds=options.seconds, warm_up_seconds=options.warm_up, recordings=recordings)
        yield run()


def _recordings(parser: argparse.ArgumentParser, quotes: Sequence[Quotes]) -> Path | None:
    """The directory of recorded bars; None if there is none, which is said if they were wanted beside others."""
    folder = os.environ.get(RECORDINGS)
    if "recorded" not in quotes:
        return None
    if folder:
        recordings = Path(folder) / RECORDED_BARS
        if not recordings.is_dir():
            parser.error(f"{RECORDINGS} is {folder}, which has no directory {RECORDED_BARS}")
        return recordings
    if len(quotes) == 1:
        parser.error(f"--quotes recorded needs {RECORDINGS}, the directory of the recorded market data")
    echo(f"{RECORDINGS} is not set, so no recorded quotes are replayed, and only synthetic ones are.", err=True)
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pipeline",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=10.0,
        metavar="N",
        help="how long each rate is measured, after the warm-up [10]",
    )
    parser.add_argument(
        "--warm-up",
        type=_seconds,
        default=WARM_UP_SECONDS,
        metavar="N",
        help=f"how long each rate is offered before it is measured [{WARM_UP_SECONDS:.0f}]",
    )
    parser.add_argument(
        "--rates",
        type=_rates,
        default=_rates(",".join(RATES)),
        metavar="A,B",
        help=f"quotes a second, and {AS_FAST_AS_IT_GOES} for as fast as it goes [{','.join(RATES)}]",
    )
    parser.add_argument(
        "--mode",
        type=partial(_one_or_both, known=MODES),
        default=MODES,
        metavar="MODE",
        help=f"{', '.join(MODES)} or both [both]",
    )
    parser.add_argument(
        "--quotes",
        type=partial(_one_or_both, known=KINDS),
        default=KINDS,
        metavar="KIND",
        help=f"{', '.join(KINDS)} or both [both]",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON line for each run instead of the table")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the table into this page too")
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {MIN_SECONDS:.0f} to {MAX_SECONDS:.0f}")
    return seconds


def _rates(text: str) -> tuple[float | None, ...]:
    return tuple(None if part.strip() == AS_FAST_AS_IT_GOES else _rate(part) for part in text.split(","))


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 1 <= rate <= MOST_QUOTES_A_SECOND:
        raise argparse.ArgumentTypeError(
            f"{text.strip()!r} is neither {AS_FAST_AS_IT_GOES} nor a rate from 1 to {MOST_QUOTES_A_SECOND:,}"
        )
    return rate


def _one_or_both(text: str, known: tuple[T, ...]) -> tuple[T, ...]:
    found = tuple(each for each in known if text in (each, "both"))
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is neither {', '.join(known)} nor both")
    return found


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
