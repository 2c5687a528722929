"""How the demo ends: whatever ends it, and whenever, it leaves no process and no directory behind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.support.demo_terminal import Demo
from tests.support.sizes import sized
from tests.support.waiting import wait_until
from tests.trials.first_hour import problems_of

PROMPTLY = 15.0
MOMENTS = ("starting the emulator", "running:")
"""What the demo reports at the moments at which a test ends it. The others are random."""
SEEDS = range(sized(2, 6))
SECONDS_OF_A_DEMO = 10.0
"""About how long a short demo takes where nothing else runs. The random moments are within this time."""


@pytest.fixture
def demo(replica_python: str, tmp_path: Path) -> Iterator[Demo]:
    started = Demo(replica_python, tmp_path, "--seconds", "60", "--keep", str(tmp_path / "archive"))
    yield started
    started.end()


def assert_nothing_is_left(demo: Demo) -> None:
    wait_until(lambda: not demo.processes(), "no process is left", seconds=PROMPTLY)
    wait_until(
        lambda: not demo.leftovers(),
        f"no directory is left: {[list(d.rglob(chr(42))) for d in demo.leftovers()]}",
        seconds=PROMPTLY,
    )


@pytest.mark.timed
def test_ctrl_c_during_the_setup_ends_it_promptly_with_one_line_and_its_own_status(demo: Demo) -> None:
    demo.wait_for(MOMENTS[0])
    demo.press_ctrl_c()
    pressed = time.monotonic()
    wait_until(demo.has_ended, "the demo ends", seconds=60)
    assert time.monotonic() - pressed < PROMPTLY
    assert "interrupted: the demo ended without a result" in demo.output
    assert "status 130" in demo.output
    assert "Traceback" not in demo.output
    assert "trapped" not in demo.output  # the program that started the demo did not get the signal
    assert_nothing_is_left(demo)


def test_ctrl_c_while_it_runs_drains_it_and_keeps_its_status(demo: Demo) -> None:
    demo.wait_for("running:")
    demo.press_ctrl_c()
    wait_until(demo.has_ended, "the demo ends", seconds=60)
    assert "read back and compared" in demo.output
    assert "status 0" in demo.output
    assert_nothing_is_left(demo)


def test_a_second_ctrl_c_ends_the_drain_at_once(demo: Demo) -> None:
    demo.wait_for("running:")
    demo.press_ctrl_c()
    demo.wait_for("draining")
    demo.press_ctrl_c()
    wait_until(demo.has_ended, "the demo ends", seconds=PROMPTLY)
    assert "status 130" in demo.output
    assert_nothing_is_left(demo)


@pytest.mark.parametrize("moment", MOMENTS)
def test_closing_the_terminal_leaves_nothing(demo: Demo, moment: str) -> None:
    demo.wait_for(moment)
    demo.close_terminal()
    assert_nothing_is_left(demo)


@pytest.mark.parametrize("moment", MOMENTS)
def test_killing_it_leaves_nothing(demo: Demo, moment: str) -> None:
    demo.wait_for(moment)
    demo.kill()
    assert_nothing_is_left(demo)


@pytest.mark.parametrize("seed", SEEDS)
def test_at_a_random_moment_it_ends_as_it_should_and_leaves_nothing(
    replica_python: str, tmp_path: Path, seed: int
) -> None:
    """A sample of `python -m tests.trials.first_hour`."""
    assert problems_of(replica_python, tmp_path, Random(seed), SECONDS_OF_A_DEMO) == []
