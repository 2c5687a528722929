"""How a person calls the programs, and their version.

Each program is a package with a command line of its own: `python -m operations redrive`. The one command `stockstream`
runs the same programs: `stockstream redrive`. Help and hints name the way that the person took.
"""

from __future__ import annotations

VERSION = "0.1.0"
"""The version of stockstream. The build of its wheel reads it here."""
ONE_COMMAND = "stockstream"

_taken = {"one command": False}


def use_one_command() -> None:
    """From now on, `called` names the one command. Call it before the command line of a program is imported."""
    _taken["one command"] = True


def called(package: str, *, command: str = "") -> str:
    """The words with which a person calls a program.

    `command` is the name in the one command of a program that has no commands of its own.
    """
    return f"{ONE_COMMAND} {command}".rstrip() if _taken["one command"] else f"python -m {package}"
