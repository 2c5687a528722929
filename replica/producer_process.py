"""The producer as a child process: the same command and environment that a container runs."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from costs.expected_usage import EVENT_LOG_BYTES
from deployment.functions import ROOT
from replica.errors import ReplicaError

START_SECONDS = 60.0
STOP_SECONDS = 130.0
_LOG_LINES = 15


class ProducerFailed(ReplicaError):
    """The producer did not start, or did not stop as it should; the message holds the end of its log."""


class ProducerProcess:
    """`python -m producer_service run` in an environment, until it is stopped or its source ends.

    In a session of its own: the Ctrl-C of a terminal leaves it alone until the demo tells it to drain. Entering waits
    until it runs and raises `ProducerFailed` if it does not.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._started = threading.Event()
        self._url = ""
        self._tail: deque[str] = deque(maxlen=_LOG_LINES)
        self.warning = ""
        """The last warning or error that it logged."""
        self.log_bytes = 0
        """How much it has logged, with what CloudWatch adds to a line."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "producer_service", "run"],
            cwd=ROOT,
            env=dict(self._environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._process.stdout is not None  # noqa: S101  (a pipe was asked for)
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        if not self._started.wait(START_SECONDS) or not self._url:
            self._kill()
            raise ProducerFailed(f"the producer did not start:\n{self.log_tail()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()

    @property
    def url(self) -> str:
        """Where it serves /metrics, /healthz and /readyz."""
        return self._url

    def has_ended(self) -> bool:
        """Whether it has ended by itself, as after a replay."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """Tell it to drain, unless it has ended, and wait. Raises `ProducerFailed` if something was left."""
        self._process.terminate()
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise ProducerFailed(f"the producer did not drain in {STOP_SECONDS:.0f} s:\n{self.log_tail()}") from error
        self._reader.join()
        if code:
            raise ProducerFailed(f"the producer ended with status {code}:\n{self.log_tail()}")

    def kill(self) -> None:
        """End it as a crash would, without a chance to drain."""
        self._kill()

    def log_tail(self) -> str:
        """The last lines of its log."""
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
        self._started.set()  # it has ended: whoever waits for the start shall know

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
            detail = entry.get("detail") or entry.get("reason") or ""
            self.warning = f"{entry.get('event')} {detail}".strip()


def environment(
    base: Mapping[str, str], directory: Path, stream_name: str, settings: Mapping[str, str]
) -> dict[str, str]:
    """The producer's environment: the emulator's and the user's own PRODUCER_ variables, and over them what we set."""
    return {
        **base,
        "PRODUCER_HTTP_PORT": "0",
        "PRODUCER_STREAM_NAME": stream_name,
        "PRODUCER_JOURNAL_DIR": str(directory / "journal"),
        "PRODUCER_ACCEPTED_LOG_PATH": str(directory / "accepted_log.jsonl"),
        **{f"PRODUCER_{name}": value for name, value in settings.items()},
    }
