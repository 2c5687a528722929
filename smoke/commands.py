"""Runs the commands that people use, as child processes, and passes on what they print."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Protocol

from smoke.errors import CommandFailed
from workspace.places import ROOT

_STOP_SECONDS = 20.0
_CHUNK = 4096
_LAST_CHUNKS = 50


class Commands(Protocol):
    """Runs a command of a package, such as `deployment destroy`."""

    def run(self, package: str, *arguments: str, seconds: float) -> None:
        """Run `python -m package`. Raises `CommandFailed` if it fails, or does not end in time."""


@dataclass(frozen=True)
class ChildProcesses:
    """See `Commands`. However `run` returns, the command has ended."""

    environment: Mapping[str, str]

    def run(self, package: str, *arguments: str, seconds: float) -> None:
        """See `Commands.run`."""
        process = subprocess.Popen(  # noqa: S603  (no shell)
            # -P keeps the user's directory off the import path.
            [sys.executable, "-P", "-m", package, *arguments],
            env={**self.environment, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        words: deque[str] = deque(maxlen=_LAST_CHUNKS)
        with process:
            assert process.stdout is not None  # noqa: S101  (Popen was called with stdout=PIPE)
            reader = threading.Thread(target=_pass_on, args=(process.stdout, words), daemon=True)
            reader.start()
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired as error:
                raise CommandFailed(f"`{package} {arguments[0]}` did not end within {seconds:.0f} s") from error
            finally:
                _stop(process)
                reader.join()
        if status:
            raise CommandFailed(f"`{package} {arguments[0]}` ended with status {status}: {_last_words(words)}")


def _pass_on(output: IO[bytes], words: deque[str]) -> None:
    """Print what a command prints as it comes, also a question that does not end its line."""
    while chunk := os.read(output.fileno(), _CHUNK):
        text = chunk.decode(errors="replace")
        words.append(text)
        with suppress(OSError):  # nobody may read it any more
            sys.stderr.write(text)  # the command has made it harmless
            sys.stderr.flush()


def _last_words(words: Iterable[str]) -> str:
    """The error that a command ended with, or its last line."""
    text = "".join(words).strip()
    _, separator, error = text.rpartition("error: ")
    return error.strip() if separator else text.rpartition("\n")[2]


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a command as Ctrl-C does, and by force if it does not end then."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
