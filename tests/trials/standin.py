"""The faulty Kinesis as a process of this machine, for as long as a `with` block lasts."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

from tests.trials.faults import NONE, Faults
from tests.trials.faulty_kinesis import HOST
from tests.trials.faulty_stream import Report

STREAM = "trial"
PATIENCE_SECONDS = 120.0


class Standin:
    """The running server: how to reach it, and what came of what it was sent."""

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
        """What the SDK needs in its environment for its Kinesis to be this one."""

    def report(self) -> Report:
        """The verdict on what has arrived, and the requests by their fates."""
        return msgspec.json.decode(self._get("report"), type=Report)

    def identities(self) -> set[tuple[str, str, int]]:
        """What has arrived: symbol, event time as on the wire, revision."""
        return set(msgspec.json.decode(self._get("identities"), type=list[tuple[str, str, int]]))

    def go_away(self, seconds: float) -> None:
        """Drop every connection, at once, and refuse new ones for some seconds."""
        self._get("outage", b"%f" % seconds)

    def _get(self, what: str, body: bytes | None = None) -> bytes:
        with self._open(f"{self._url}/{what}", body, timeout=PATIENCE_SECONDS) as response:
            content: bytes = response.read()
        return content


@contextmanager
def running(faults: Faults = NONE) -> Iterator[Standin]:
    """Start the server on a free port of 127.0.0.1, and end it at last."""
    command = [sys.executable, "-m", "tests.trials.faulty_kinesis", msgspec.json.encode(faults).decode()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Standin(int(process.stdout.readline()))
        finally:
            process.stdin.close()
            process.wait(timeout=10)
