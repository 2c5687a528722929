"""Run the delivery trials and print a table in Markdown: `python -m tests.trials --help`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.kinesis_standin.faults import ALL_FAULTS
from benchmarks.load import QuoteLoad
from tests.trials.naive import NaiveSender
from tests.trials.trial import TABLE_HEAD, Outcome, try_naive, try_producer

KILLS = 20


def main() -> None:
    """Run every trial on one load, and print a row as each ends."""
    parser = argparse.ArgumentParser(prog="python -m tests.trials", description=__doc__)
    parser.add_argument("--quotes", type=int, default=1_000_000, help="number of quotes [1000000]")
    parser.add_argument("--symbols", type=int, default=500, help="number of symbols that take turns [500]")
    options = parser.parse_args()
    sys.stdout.write(TABLE_HEAD + "\n")
    for outcome in trials(QuoteLoad(options.quotes, options.symbols)):
        sys.stdout.write(outcome.row() + "\n")
        sys.stdout.flush()


def trials(load: QuoteLoad) -> Iterator[Outcome]:
    """The producer, the producer with kills, and two naive senders, all under the same faults."""
    for kills in (0, KILLS):
        with tempfile.TemporaryDirectory(prefix="stockstream-trial-") as directory:
            yield try_producer(load, ALL_FAULTS, Path(directory), kills=kills)
    for sender in (NaiveSender(4, "at once"), NaiveSender(1, "with the next request")):
        yield try_naive(load, ALL_FAULTS, sender)


if __name__ == "__main__":
    main()
