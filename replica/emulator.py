"""Runs MiniStack, an emulator of AWS, in a child process for as long as a `with` block lasts."""

from __future__ import annotations

import http.client
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import botocore.session
from botocore.config import Config

from replica.errors import EmulatorError
from replica.scratch import Scratch
from workspace.demo_record import CREDENTIALS

REGION = "us-east-1"
HOST = "127.0.0.1"

_METERING_PROXY = Path(__file__).with_name("metering_proxy.py")
_START_SECONDS = 30.0
_REAP_SECONDS = 2.0
_POLL_SECONDS = 0.05
_PORTS = range(20_000, 32_000)
_PORT_ATTEMPTS = 20
_LOG_LINES = 20
# The variables that any process needs. No other variable reaches the emulator or the functions that it runs.
_INHERITED = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
_CREDENTIALS = {**CREDENTIALS, "AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION}


class Emulator:
    """An emulator that starts empty, on a free port of 127.0.0.1, with a temporary directory.

    It runs in a session of its own. So Ctrl-C in a terminal does not end it, and a producer can still drain into it.
    With `policies_enforced` it checks signatures and IAM policies, including those of the functions' roles. It then
    speaks TLS, because policies that demand TLS would deny every other call. With `metered` it records the calls that
    AWS would bill (`metering_proxy`), and pushes records as Kinesis does (`emulator_push`). `python` is an interpreter
    that has MiniStack. Entering waits until it answers, and raises `EmulatorError` if it does not. Meanwhile it calls
    `meanwhile` with the temporary directory.
    """

    def __init__(
        self,
        *,
        python: str = sys.executable,
        policies_enforced: bool = False,
        metered: bool = False,
        meanwhile: Callable[[Path], None] = lambda _: None,
    ) -> None:
        self._python = python
        self._metered = metered
        self._meanwhile = meanwhile
        self._policies_enforced = policies_enforced
        self._session = _session()
        self._port = 0
        self._scratch = Scratch("emulator")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._scratch)
            stack.callback(self._stop)
            self._port = _free_port()
            self._start()
            self._meanwhile(self._scratch.path)
            self._wait_until_healthy()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def endpoint_url(self) -> str:
        """The URL of every service."""
        return f"{'https' if self._policies_enforced else 'http'}://{HOST}:{self._port}"

    @property
    def pid(self) -> int:
        """The process of the emulator. It leads the session of the functions' workers."""
        assert self._process is not None  # noqa: S101  (the block is entered)
        return self._process.pid

    @property
    def log(self) -> Path:
        """The log file of the emulator. It is deleted when the block ends."""
        return self._scratch.path / "ministack.log"

    @property
    def calls(self) -> Path:
        """The file of metered calls, one JSON line each. It is deleted when the block ends."""
        return self._scratch.path / "calls.jsonl"

    def environment(self, base: Mapping[str, str] = os.environ) -> dict[str, str]:
        """The environment of a child process that uses the emulator as AWS.

        It is `base` with the emulator's AWS settings in place of all others, profiles included, and without a proxy for
        the emulator.
        """
        environment = {name: value for name, value in base.items() if not name.startswith("AWS_")}
        environment |= _CREDENTIALS
        environment |= {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        if self.ca_bundle is not None:
            environment["AWS_CA_BUNDLE"] = self.ca_bundle
        for name in ("NO_PROXY", "no_proxy"):
            environment[name] = ",".join(filter(None, (base.get(name), HOST, "localhost")))
        return environment

    def client(self, service_name: str, *, config: Config | None = None) -> Any:
        """A boto3 client of one service. It ignores what this process's environment says about AWS and proxies."""
        return self._session.client(
            service_name,
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=_CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            verify=self.ca_bundle,
            config=(config or Config()).merge(Config(proxies={})),
        )

    @property
    def ca_bundle(self) -> str | None:
        """The file of its certificate. None if it speaks plain HTTP."""
        return str(self._certificate) if self._policies_enforced else None

    @property
    def _certificate(self) -> Path:
        return self._scratch.path / "tmp" / "ministack-tls" / "server.crt"

    def _start(self) -> None:
        directory = self._scratch.path
        (directory / "tmp").mkdir()
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        environment |= {
            "GATEWAY_PORT": str(self._port),
            "BIND_HOST": HOST,
            "MINISTACK_HOST": HOST,
            "MINISTACK_REGION": REGION,
            "HOME": str(directory),
            "TMPDIR": str(directory / "tmp"),
            "STATE_DIR": str(directory / "state"),
            "S3_DATA_DIR": str(directory / "s3"),
            # Otherwise it would remove the containers of other MiniStacks, and use fixed ports for MQTT and SFTP.
            "DOCKER_HOST": f"unix://{directory}/none.sock",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
        }
        if self._policies_enforced:
            environment |= {"AUTH": "true", "USE_SSL": "1"}
        command = [self._python, "-m", "ministack"]
        if self._metered:
            environment["STOCKSTREAM_CALLS"] = str(self.calls)
            # -P keeps the proxy's folder off the import path, where our modules would hide others of the same name.
            command = [self._python, "-P", str(_METERING_PROXY)]
        with self.log.open("wb") as log:
            try:
                self._process = subprocess.Popen(  # noqa: S603  (no shell)
                    command,
                    cwd=directory,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise EmulatorError(f"the emulator did not start: {error}") from error
        self._scratch.end_with_us(self._process.pid)

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_healthy():
            if self._process is not None and self._process.poll() is not None:
                raise EmulatorError(f"the emulator ended with status {self._process.returncode}:\n{self._log_tail()}")
            if time.monotonic() > deadline:
                raise EmulatorError(f"the emulator did not answer within {_START_SECONDS:.0f} s:\n{self._log_tail()}")
            time.sleep(_POLL_SECONDS)

    def _is_healthy(self) -> bool:
        # http.client does not use a proxy, unlike urllib.
        connection: http.client.HTTPConnection
        if self._policies_enforced:
            if not self._certificate.exists():
                return False
            connection = http.client.HTTPSConnection(HOST, self._port, timeout=1, context=self._tls())
        else:
            connection = http.client.HTTPConnection(HOST, self._port, timeout=1)
        try:
            connection.request("GET", "/_ministack/health")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self._certificate))

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:])

    def _stop(self) -> None:
        """End the emulator and every process that it started."""
        process, self._process = self._process, None
        if process is not None:
            _kill_session(process)


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kill the emulator and the workers of its functions, and wait briefly until the system has reaped them.

    They are killed at once, because the emulator has nothing to save and its own shutdown waits for open connections.
    The wait is bounded, because dead processes stay in their group if the first process of a container reaps none.
    """
    with suppress(ProcessLookupError, PermissionError):  # no process is left, or, on macOS, only dead ones
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + _REAP_SECONDS
    with suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < deadline:
            os.killpg(process.pid, 0)
            time.sleep(_POLL_SECONDS)


def _session() -> boto3.Session:
    """A session that reads no profile. Otherwise botocore would fail on an AWS_PROFILE that it cannot find."""
    no_file = (None, None, os.devnull, None)
    return boto3.Session(
        botocore_session=botocore.session.Session(
            session_vars={
                "profile": (None, None, None, None),
                "config_file": no_file,
                "credentials_file": no_file,
            }
        )
    )


def _free_port() -> int:
    """A port that nothing listens on, below those that systems give to outgoing connections.

    Such a connection could take the port before the emulator listens on it. Raises `EmulatorError`.
    """
    for port in random.sample(_PORTS, _PORT_ATTEMPTS):
        with socket.socket() as listener, suppress(OSError):
            listener.bind((HOST, port))
            return port
    raise EmulatorError(f"{_PORT_ATTEMPTS} ports of {HOST}, from {_PORTS.start} to {_PORTS.stop}, are all in use")
