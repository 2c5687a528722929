"""`python -m stockstream`, and the entry point of the installed command."""

from __future__ import annotations

import runpy
import sys

from stockstream.catalog import COMMANDS
from terminal.program import ONE_COMMAND, use_one_command

INTERRUPTED = 130
"""The exit status after Ctrl-C."""


def main() -> None:
    """Run the program of the command that the arguments begin with, as `python -m` does, or show what there is.

    The program prints its messages, handles its signals and sets the exit status. Nothing else is imported before it.
    """
    use_one_command()
    entry = COMMANDS.get(sys.argv[1]) if len(sys.argv) > 1 else None
    if entry is None:
        from stockstream.cli import app  # noqa: PLC0415  (no program needs it)

        app(prog_name=ONE_COMMAND)
        return
    if entry.is_whole_program:
        del sys.argv[1]
    try:
        runpy.run_module(entry.package, run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:  # while it was loaded: a program that runs handles Ctrl-C itself
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
