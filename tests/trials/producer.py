"""The real `run` command of the producer, with the load as its source.

    python -m tests.trials.producer '{"quotes":1000000,"symbols":500}'

Everything else comes from the environment, as always. It continues where its accepted log ends.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from benchmarks.load import QuoteLoad
from producer_service.cli import run_until_stopped
from producer_service.sources.definition import SourceDefinition, SourceSettings
from producer_service.sources.registry import SOURCES
from tests.fakes.load_source import LoadSource

READ_TIMEOUT_SECONDS = 0.5


def main(load: QuoteLoad) -> None:
    """Run until the load is delivered, or until a signal."""
    accepted_log = Path(os.environ["PRODUCER_ACCEPTED_LOG_PATH"])
    first = _lines(accepted_log) if accepted_log.exists() else 0

    def open_(_settings: SourceSettings, _symbols: tuple[str, ...]) -> LoadSource:
        return LoadSource(load, first=first)

    os.environ["PRODUCER_SOURCE"] = "synthetic"
    os.environ["PRODUCER_KINESIS_TIMEOUT_SECONDS"] = str(READ_TIMEOUT_SECONDS)
    definition = SourceDefinition(
        name="synthetic", description="the load", settings=SourceSettings, needs_symbols=False, open=open_
    )
    run_until_stopped({**SOURCES, "synthetic": definition})


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=QuoteLoad))
