"""Prints lines, through a pager if they do not fit on the terminal."""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from rich.cells import cell_len

from terminal.output import echo

_LESS = ("-SRX", "-+F")
"""Long lines are not broken: the arrow keys move along them. The result stays on the screen. `-F` would cut it."""


class Screen:
    """Where results are printed.

    `pager` is the command of the pager, such as the variable PAGER. If it is empty or `cat`, nothing goes through a
    pager. If it is None, `less` is used if this machine has it.
    """

    def __init__(self, pager: str | None) -> None:
        self._pager = _command(pager) if sys.stdout.isatty() else ()

    def show(self, lines: Sequence[str], narrow_lines: Iterable[str]) -> None:
        """Print lines. If they are too wide and there is no pager, print the narrow ones in place of them."""
        columns, rows = shutil.get_terminal_size()
        is_wide = sys.stdout.isatty() and any(cell_len(line) > columns for line in lines)
        if self._pager and (is_wide or len(lines) >= rows) and _paged(self._pager, lines):
            return
        write(narrow_lines if is_wide else lines)


def write(lines: Iterable[str]) -> None:
    """Write lines as they are. They must be harmless to a terminal."""
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _command(pager: str | None) -> tuple[str, ...]:
    if pager is None:
        pager = "less" if shutil.which("less") else ""
    try:
        command = tuple(shlex.split(pager))
    except ValueError:
        echo(f"note: PAGER is no command: {pager}", err=True)
        return ()
    if command == ("cat",):
        return ()
    return (*command, *_LESS) if command and Path(command[0]).name == "less" else command


def _paged(command: Sequence[str], lines: Iterable[str]) -> bool:
    """Whether the pager showed the lines."""
    try:
        pager = subprocess.Popen(  # noqa: S603  (the user's own command)
            command, stdin=subprocess.PIPE, text=True, encoding="utf-8"
        )
    except OSError as error:
        echo(f"note: the pager {command[0]} does not start ({error.strerror}): PAGER names another, or none", err=True)
        return False
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the pager
    try:
        with suppress(BrokenPipeError):  # it need not read to the end
            pager.communicate("".join(f"{line}\n" for line in lines))
        return pager.wait() == 0
    finally:
        signal.signal(signal.SIGINT, before)
