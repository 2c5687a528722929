"""Shows the steps of the set-up: a spinner with the time on a terminal, and plain lines everywhere else."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from terminal import printable

LONG_SECONDS = 2.0
"""Without a terminal, the time of a step is a line of its own if it took longer than this."""


class Steps:
    """Shows one step at a time. Call it with the text of each step when the step begins."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._is_live = console.is_terminal and not console.is_dumb_terminal
        self._text = ""
        self._began_at = 0.0
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        self._entered_at = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(was_finished=kind is None)

    def __call__(self, text: str) -> None:
        """Begin a step, which ends the one before."""
        self._end()
        self._text, self._began_at = printable(text), time.monotonic()
        if not self._is_live:
            self._print(self._text)
            return
        columns = (SpinnerColumn("line"), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        self._progress = Progress(
            *columns, console=self._console, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._progress.add_task(self._text)
        self._progress.start()

    @property
    def seconds(self) -> float:
        """The time since the first step."""
        return time.monotonic() - self._entered_at

    def _end(self, *, was_finished: bool = True) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        took = time.monotonic() - self._began_at
        if self._text and was_finished and (self._is_live or took >= LONG_SECONDS):
            self._print(f"{self._text}: {took:.1f} s")
        self._text = ""

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
