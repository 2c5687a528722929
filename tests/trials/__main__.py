"""The delivery trials, as a table in Markdown: `python -m tests.trials --help`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.trials.faults import ISSUE
from tests.trials.load import Load
from tests.trials.naive import Naive
from tests.trials.trial import HEAD, Outcome, try_naive, try_producer

KILLS = 20


def main() -> None:
    """Run every trial on one load, and print a row as each ends."""
    parser = argparse.ArgumentParser(prog="python -m tests.trials", description=__doc__)
    parser.add_argument("--quotes", type=int, default=1_000_000, help="size of the load [1000000]")
    parser.add_argument("--symbols", type=int, default=500, help="symbols that take turns in it [500]")
    options = parser.parse_args()
    sys.stdout.write(HEAD + "\n")
    for outcome in trials(Load(options.quotes, options.symbols)):
        sys.stdout.write(outcome.row() + "\n")
        sys.stdout.flush()


def trials(load: Load) -> Iterator[Outcome]:
    """Ours, ours with kills, and what one writes without lanes, under the same faults."""
    for kills in (0, KILLS):
        with tempfile.TemporaryDirectory(prefix="stockstream-trial-") as directory:
            yield try_producer(load, ISSUE, Path(directory), kills=kills)
    for naive in (Naive(4, "at once"), Naive(1, "with the next")):
        yield try_naive(load, ISSUE, naive)


if __name__ == "__main__":
    main()
