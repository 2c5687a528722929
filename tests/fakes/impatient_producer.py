"""A producer that waits less for credentials: `python -m tests.fakes.impatient_producer` runs it."""

from __future__ import annotations

from producer_service import credentials
from producer_service.cli import run_until_stopped
from producer_service.sources.registry import SOURCES

HELPER_SECONDS = 2.0
RETRY_SECONDS = 0.5


def main() -> None:
    credentials.HELPER_SECONDS = HELPER_SECONDS
    credentials.RETRY_SECONDS = RETRY_SECONDS
    run_until_stopped(SOURCES)


if __name__ == "__main__":
    main()
