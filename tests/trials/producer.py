"""The real producer, `run` and all, but for its source, which is the load.

    python -m tests.trials.producer '{"quotes":1000000,"symbols":500}'

Everything else comes from the environment, as ever. It goes on where its accepted log ends.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from producer_service import cli
from producer_service.settings import Settings
from producer_service.sources import Source
from tests.trials.load import Load, LoadSource

READ_TIMEOUT_SECONDS = 0.5


def main(load: Load) -> None:
    """Run until the load has been delivered, or a signal."""

    def make_source(settings: Settings) -> Source:
        accepted_log = settings.accepted_log_path
        return LoadSource(load, first=_lines(accepted_log) if accepted_log is not None and accepted_log.exists() else 0)

    cli.make_source = make_source
    os.environ["PRODUCER_SOURCE"] = "synthetic"
    os.environ["PRODUCER_KINESIS_TIMEOUT_SECONDS"] = str(READ_TIMEOUT_SECONDS)
    cli.app(["run"])


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Load))
