"""How tests are distributed over processes: pytest-xdist's scheduler, adapted to shared fixtures and long tests."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

WHOLE_FILES = ("tests/integration/", "tests/trials/")
"""The tests of a file under these folders share emulators and deployments, so the file runs in one process."""
WHOLE_FOLDER = "tests/browser/"
"""The tests of all files of this folder share one pipeline and one browser."""
LONGEST = (
    "tests/integration/compaction/test_two_runs_of_bars.py",
    "tests/integration/operations/test_backfill_beside_a_stream.py",
    "tests/integration/test_daemon_faults.py",
    "tests/integration/test_demo_ends.py",
    "tests/integration/test_pipeline.py",
    "tests/integration/test_processing_benchmark.py",
    "tests/integration/test_replayed_week.py",
    "tests/integration/test_whole_deployment.py",
    "tests/integration/yahoo/test_endurance.py",
)
"""Files that take longer than two minutes at full size on a busy machine, so that they start before all others."""


def unit_of_work(nodeid: str) -> str:
    """What is sent to one process as a whole: the folder or the file of a test, or the test itself."""
    if nodeid.startswith(WHOLE_FOLDER):
        return WHOLE_FOLDER
    return nodeid.partition("::")[0] if nodeid.startswith(WHOLE_FILES) else nodeid


def arrange(items: list[pytest.Item]) -> None:
    """Put the tests into one order in all processes: the longest files, the other whole files, and the other tests.

    Work that starts late should be short, so that all processes end at about the same time. The cases of a test are
    sorted, because pytest-xdist demands the same order in every process, and the order of a set differs between them.
    """
    cases_of_a_test = groupby(items, key=lambda item: item.nodeid.partition("[")[0])
    items[:] = [item for _, cases in cases_of_a_test for item in sorted(cases, key=lambda item: item.nodeid)]
    items.sort(key=lambda item: _turn(item.nodeid))


def _turn(nodeid: str) -> int:
    """When a test runs: the lower, the earlier."""
    if nodeid.startswith((WHOLE_FOLDER, *LONGEST)):
        return 0
    return 1 if nodeid.startswith(WHOLE_FILES) else 2


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Sends each unit of work to the next process that has almost nothing left to do."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        config.option.loadscopereorder = False  # otherwise files with many short tests would start first
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit_of_work(nodeid)
