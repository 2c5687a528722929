"""Makes the environment that a lock file describes, with a line about its progress.

It installs with uv if there is one, and otherwise with pip. Either compares every file with the hashes in the lock. It
needs the standard library alone, and says so if Python is too old.
"""

from __future__ import annotations

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # the imports below need no traceback at Ctrl-C

import argparse  # noqa: E402
import re  # noqa: E402
import shutil  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from os.path import relpath  # noqa: E402
from pathlib import Path  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
OLDEST = (3, 11)
INTERRUPTED = 130

COMMAND = """#!/bin/sh
# Runs stockstream from the checkout that this environment is in.
exec "$(dirname "$(readlink -f "$0")")/python" -P -m stockstream "$@"
"""
_PACKAGE = re.compile(r"(?:Collecting|Requirement already satisfied:) ([\w.-]+)")


def main() -> int:
    """Make the environment, and return the exit status."""
    parser = argparse.ArgumentParser(description="Make the environment that a lock file describes.")
    parser.add_argument("directory", type=Path, help="where the environment is, or will be")
    parser.add_argument("lock", type=Path, help="the lock file")
    parser.add_argument("--add", action="store_true", help="add to the environment instead of making a new one")
    parser.add_argument("--wheels-only", action="store_true", help="build no package from its source")
    parser.add_argument("--uv", default="uv", help="the command of uv; an empty one stands for pip")
    parser.add_argument("--command", action="store_true", help="also install the command stockstream")
    arguments = parser.parse_args()
    if sys.version_info < OLDEST and not arguments.add:
        return _refuse(
            f"stockstream needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}: name another, "
            "such as PYTHON=python3.13"
        )
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        return _install(arguments)
    except KeyboardInterrupt:
        return _refuse("interrupted: the next make sets the environment up again", INTERRUPTED)


def _install(arguments: argparse.Namespace) -> int:
    directory, started = arguments.directory, time.monotonic()
    uv = shutil.which(arguments.uv)
    _say(f"installing {arguments.lock} into {directory} with {'uv' if uv else 'pip'}")
    if not arguments.add:
        make = [sys.executable, "-m", "venv", "--clear", *(["--without-pip"] if uv else []), str(directory)]
        made = subprocess.run(make, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603  (no shell)
        if made.returncode:
            return _refuse(
                f"{made.stdout}{sys.executable} cannot make a virtual environment; "
                "on Debian and Ubuntu, install python3-venv"
            )
    python = directory / "bin" / "python"
    options = ["--require-hashes", *(["--only-binary", ":all:"] if arguments.wheels_only else [])]
    options += ["-r", str(arguments.lock)]
    # Programs start slowly without byte code. If Python may not keep what it compiles later, it is compiled now.
    compiled = sys.dont_write_bytecode
    if uv:
        options += ["--compile-bytecode"] if compiled else []
        status = _run_uv([uv, "pip", "install", "--python", str(python), *options])
        if status:
            _say("uv reads no settings of pip: to install with pip, add UV= to the command, such as `make demo UV=`")
    else:
        options += [] if compiled else ["--no-compile"]
        pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        status = _run_pip([*pip, "--progress-bar", "off", *options], arguments.lock)
    if status:
        return status
    if arguments.command:
        _write_command(directory)
    _say(f"installed {arguments.lock} in {time.monotonic() - started:.0f} s")
    return 0


def _run_uv(command: list[str]) -> int:
    """Run uv, which draws its progress on a terminal."""
    return subprocess.run(command if sys.stderr.isatty() else [*command, "--quiet"], check=False).returncode  # noqa: S603  (no shell)


def _run_pip(command: list[str], lock: Path) -> int:
    """Run pip, and show on a terminal which package it is at. If it fails, show everything that it has said."""
    # Not every package of the lock is for this machine, so these are the most that pip names.
    most = len(re.findall(r"^[\w.-]+==", lock.read_text(encoding="utf-8"), re.MULTILINE))
    said, seen = [], 0
    with subprocess.Popen(  # noqa: S603  (no shell)
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace"
    ) as pip:
        try:
            for line in pip.stdout or ():
                said.append(line)
                if match := _PACKAGE.match(line):
                    seen += 1
                    _show(f"{seen} of {most}: {match[1]}")
                elif line.startswith("Installing collected packages"):
                    _show("unpacking the packages")
        except KeyboardInterrupt:
            pip.kill()
            raise
        finally:
            _show("")
    if pip.returncode:
        sys.stderr.write("".join(said))
    return pip.returncode


def _write_command(directory: Path) -> None:
    """Write the command `stockstream` of this checkout. No package index is asked for a tool that would do it."""
    (packages,) = directory.glob("lib/python*/site-packages")
    (packages / "stockstream.pth").write_text(relpath(ROOT, packages) + "\n", encoding="utf-8")
    command = directory / "bin" / "stockstream"
    command.write_text(COMMAND, encoding="utf-8")
    command.chmod(0o755)


def _show(text: str) -> None:
    """Show a text in the last line of a terminal. Logs have no use for it."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[2K{text}")
        sys.stderr.flush()


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _refuse(text: str, status: int = 1) -> int:
    _say(text)
    return status


if __name__ == "__main__":
    sys.exit(main())
