"""Runs the producer as a child process, with the command and the environment of its container."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from configuration import WATCHLIST_KEY
from costs.expected_usage import EVENT_LOG_BYTES
from replica import producer_status
from replica.errors import ReplicaError
from replica.producer_status import ProducerStatus
from workspace.places import ROOT

RUN = ("producer_service", "run")
START_SECONDS = 60.0
STOP_SECONDS = 130.0
STATUS_SECONDS = 1.0
_LOG_LINES = 15


class ProducerFailed(ReplicaError):
    """The producer did not start, or did not stop cleanly. The message ends with the last lines of its log."""


class ProducerProcess:
    """Runs `python -m producer_service run` with an environment, until it is stopped or its source ends.

    It has a session of its own, so Ctrl-C in a terminal does not reach it, and the demo decides when it drains.
    `on_start` is called with its process id. `command` is another module that runs the producer, and its arguments.
    Entering waits until the producer runs, and raises `ProducerFailed` if it does not.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        on_start: Callable[[int], None] = lambda _: None,
        *,
        command: Sequence[str] = RUN,
    ) -> None:
        self._environment = environment
        self._on_start = on_start
        self._command = command
        self._started = threading.Event()
        self._url = ""
        self._status_read_at = -STATUS_SECONDS
        self._tail: deque[str] = deque(maxlen=_LOG_LINES)
        self.status = ProducerStatus()
        """What /status said when it was last read."""
        self.warning = ""
        """The last warning or error in the producer's log."""
        self.log_bytes = 0
        """The size of the log so far, with the bytes that CloudWatch adds to each line."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603  (no shell)
            # It runs where the user is, so that relative paths in the settings mean the same to both. -P keeps the
            # user's directory off the import path.
            [sys.executable, "-P", "-m", *self._command],
            env={**self._environment, "PYTHONPATH": _import_path(self._environment.get("PYTHONPATH"))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._on_start(self._process.pid)
        assert self._process.stdout is not None  # noqa: S101  (Popen was called with stdout=PIPE)
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        try:
            has_started = self._started.wait(START_SECONDS) and self._url
        except BaseException:
            self._kill()
            raise
        if not has_started:
            self._kill()
            raise ProducerFailed(f"the producer did not start:\n{self.log_tail()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()

    @property
    def url(self) -> str:
        """The base URL of /metrics, /healthz and /readyz."""
        return self._url

    @property
    def source(self) -> str:
        """The source that its settings name."""
        return self._environment.get("PRODUCER_SOURCE", "")

    def read_status(self) -> None:
        """Read /status, unless the last time was a moment ago. A producer that does not answer changes nothing."""
        if time.monotonic() - self._status_read_at >= STATUS_SECONDS:
            self.status = producer_status.fetch(self._url) or self.status
            self._status_read_at = time.monotonic()

    def has_ended(self) -> bool:
        """Whether the producer has ended by itself, for example after a replay."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """Tell the producer to drain, unless it has ended, and wait for its end.

        Raises `ProducerFailed` if it takes too long or ends with another status than 0.
        """
        self._process.terminate()
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise ProducerFailed(f"the producer did not drain in {STOP_SECONDS:.0f} s:\n{self.log_tail()}") from error
        self._reader.join()
        if code:
            raise ProducerFailed(f"the producer ended with status {code}:\n{self.log_tail()}")

    def kill(self) -> None:
        """End the producer like a crash, without a drain."""
        self._kill()

    def log_tail(self) -> str:
        """The last lines of the producer's log."""
        return "\n".join(f"  {line}" for line in self._tail)

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def _read(self, output: IO[bytes]) -> None:
        with output:
            for line in output:
                text = line.decode(errors="replace").rstrip()
                self._tail.append(text)
                self.log_bytes += len(line) + EVENT_LOG_BYTES
                self._note(text)
        self._started.set()  # the process has ended, so nobody should wait for its start any longer

    def _note(self, text: str) -> None:
        try:
            entry = json.loads(text)
        except ValueError:
            return
        if not isinstance(entry, dict):
            return
        if entry.get("event") == "started":
            self._url = entry["url"]
            self._started.set()
        if entry.get("level") in ("warning", "error", "critical"):
            mistakes = entry.get("mistakes") or [""]
            mistake = mistakes[0].rpartition(f"{WATCHLIST_KEY}: ")[2]  # the long address would push it off the window
            detail = entry.get("detail") or mistake or entry.get("reason") or ""
            self.warning = f"{entry.get('event')} {detail}".strip()
        elif entry.get("event") == "watchlist_usable" and self.warning.startswith("watchlist_unusable"):
            self.warning = ""


def _import_path(others: str | None) -> str:
    return os.pathsep.join(filter(None, (str(ROOT), others)))


def environment(
    base: Mapping[str, str], directory: Path, stream_name: str, settings: Mapping[str, str]
) -> dict[str, str]:
    """The producer's environment: `base`, then the paths in `directory`, then `settings` without their prefix."""
    return {
        **base,
        "TMPDIR": str(directory),  # it is removed with the directory, however the producer ends
        "PRODUCER_HTTP_PORT": "0",
        "PRODUCER_STREAM_NAME": stream_name,
        "PRODUCER_JOURNAL_DIR": str(directory / "journal"),
        "PRODUCER_ACCEPTED_LOG_PATH": str(directory / "accepted_log.jsonl"),
        **{f"PRODUCER_{name}": value for name, value in settings.items()},
    }
