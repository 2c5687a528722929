"""Runs the stand-in of Kinesis as a process on this machine, as long as a `with` block lasts."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, cast

import msgspec

from benchmarks.kinesis_standin.faults import NO_FAULTS, Faults
from benchmarks.kinesis_standin.server import HOST
from benchmarks.kinesis_standin.stream import Report

STREAM = "trial"
TIMEOUT_SECONDS = 120.0


class Standin:
    """The running server: how to reach it, and what it received."""

    def __init__(self, port: int) -> None:
        self._url = f"http://{HOST}:{port}"
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        self.environment: Mapping[str, str] = {
            "AWS_ENDPOINT_URL": self._url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }
        """The environment variables with which the SDK uses this server as Kinesis."""

    def report(self) -> Report:
        """The verdict on what has arrived, and the number of requests by fate."""
        return msgspec.json.decode(self._get("report"), type=Report)

    def identities(self) -> set[tuple[str, str, int]]:
        """The quotes that have arrived: symbol, event time as on the wire, revision."""
        return set(msgspec.json.decode(self._get("identities"), type=list[tuple[str, str, int]]))

    def start_outage(self, seconds: float) -> None:
        """Drop every connection at once, and refuse new ones for some seconds."""
        self._get("outage", b"%f" % seconds)

    def _get(self, what: str, body: bytes | None = None) -> bytes:
        with self._open(f"{self._url}/{what}", body, timeout=TIMEOUT_SECONDS) as response:
            content: bytes = response.read()
        return content


@contextmanager
def running(faults: Faults = NO_FAULTS) -> Iterator[Standin]:
    """Start the server on a free port of 127.0.0.1, and stop it at the end."""
    command = [sys.executable, "-m", "benchmarks.kinesis_standin.server", msgspec.json.encode(faults).decode()]
    with subprocess.Popen(  # noqa: S603  (our own module)
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        stdin, stdout = cast(IO[str], process.stdin), cast(IO[str], process.stdout)
        try:
            yield Standin(int(stdout.readline()))
        finally:
            stdin.close()
            process.wait(timeout=10)
