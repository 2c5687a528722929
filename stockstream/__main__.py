"""`python -m stockstream`, and the entry point of the installed command."""

from __future__ import annotations

import runpy
import sys

from stockstream.catalog import COMMANDS
from terminal.program import ONE_COMMAND, use_one_command


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
    runpy.run_module(entry.package, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
