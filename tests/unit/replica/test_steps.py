"""How the steps of the set-up are shown."""

from __future__ import annotations

import io
import re
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
from rich.console import Console

from replica.steps import Steps


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def shown(clock: list[float], *, is_terminal: bool, fails: bool = False) -> list[str]:
    """What two steps print, of which the second takes three seconds."""
    output = io.StringIO()
    console = Console(file=output, force_terminal=is_terminal, width=80)
    interruption: AbstractContextManager[Any] = pytest.raises(KeyboardInterrupt) if fails else nullcontext()
    with interruption, Steps(console) as steps:
        steps("starting the emulator")
        clock[0] += 0.3
        steps("creating [red]stacks\x1b[0m")
        clock[0] += 3
        if fails:
            raise KeyboardInterrupt
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.getvalue()).replace("\r", "\n")
    return [line for line in plain.splitlines() if line.strip()]


def test_without_a_terminal_each_step_is_a_line_and_a_long_one_has_its_time(clock: list[float]) -> None:
    assert shown(clock, is_terminal=False) == [
        "starting the emulator",
        r"creating [red]stacks\x1b[0m",
        r"creating [red]stacks\x1b[0m: 3.0 s",
    ]


def test_on_a_terminal_a_step_that_has_ended_leaves_a_line_with_its_time(clock: list[float]) -> None:
    lines = shown(clock, is_terminal=True)
    assert "starting the emulator: 0.3 s" in lines
    assert lines[-1] == r"creating [red]stacks\x1b[0m: 3.0 s"


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_step_that_was_interrupted_has_no_time(clock: list[float], *, is_terminal: bool) -> None:
    assert not any(line.endswith("3.0 s") for line in shown(clock, is_terminal=is_terminal, fails=True))
