"""Runs the dashboard's server as a child process, so that its work delays no delivery of this one."""

from __future__ import annotations

import select
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from replica.errors import ReplicaError
from workspace.places import ROOT

START_SECONDS = 30.0
_LOG_LINES = 5


class DashboardFailed(ReplicaError):
    """The dashboard's server did not start. The message ends with the last lines of its log."""


class DashboardProcess:
    """Runs `python -m dashboard_server` with some options for as long as a `with` block lasts.

    It has a session of its own, so Ctrl-C in a terminal does not reach it, and the page stays usable while the demo
    drains. `on_start` is called with its process id, and `log` is a file for what it complains about. It starts while
    this program goes on: `url` waits for it.
    """

    def __init__(
        self, options: Mapping[str, str], environment: Mapping[str, str], log: Path, on_start: Callable[[int], None]
    ) -> None:
        self._options = options
        self._environment = environment
        self._log = log
        self._on_start = on_start
        self._url = ""

    def __enter__(self) -> Self:
        options = [part for name, value in self._options.items() for part in (f"--{name}", value)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  (no shell)
                # -P keeps the user's directory off the import path.
                [sys.executable, "-P", "-m", "dashboard_server", *options],
                env={**self._environment, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._on_start(self._process.pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()  # it has nothing to save
        self._process.wait()
        assert self._process.stdout is not None  # noqa: S101  (Popen was called with stdout=PIPE)
        self._process.stdout.close()

    @property
    def url(self) -> str:
        """The address of the page, with a slash at the end. Raises `DashboardFailed` if there is none."""
        if not self._url:
            assert self._process.stdout is not None  # noqa: S101  (as above)
            if select.select([self._process.stdout], [], [], START_SECONDS)[0]:
                self._url = self._process.stdout.readline().decode().partition(" ")[2].strip()
        if not self._url:
            lines = self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
            raise DashboardFailed("\n  ".join(["the dashboard did not start:", *lines]))
        return self._url


def environment(base: Mapping[str, str], directory: Path) -> dict[str, str]:
    """The server's environment: `base`, without AWS's keys and the producer's settings, which it has no business with.

    It names `directory`, with which the process ends, however the demo does (`scratch`).
    """
    kept = {name: value for name, value in base.items() if not name.startswith(("AWS_", "PRODUCER_"))}
    return {**kept, "TMPDIR": str(directory)}
