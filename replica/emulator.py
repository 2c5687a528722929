"""MiniStack, AWS in one process on this machine, started for as long as a `with` block lasts."""

from __future__ import annotations

import http.client
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import botocore.session
from botocore.config import Config

from replica.errors import EmulatorError

REGION = "us-east-1"
HOST = "127.0.0.1"

EDGE = Path(__file__).with_name("edge.py")

_START_SECONDS = 30.0
_REAP_SECONDS = 2.0
_POLL_SECONDS = 0.05
_PORTS = range(20_000, 32_000)
_PORT_ATTEMPTS = 20
_LOG_LINES = 20
# What any process needs to run at all; nothing else of ours reaches the emulator, nor the functions that it runs.
_INHERITED = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
}


class Emulator:
    """An emulator of its own: a free port of 127.0.0.1, a directory that goes with it, a state that starts empty.

    It runs in a session of its own, so the Ctrl-C of a terminal leaves it alive until the block ends, and a producer
    can drain into it. With `policies_enforced` it checks signatures and IAM policies, of the functions' roles too, and
    speaks TLS, since TLS-only policies would deny everything else. `metered`, it writes down the calls that AWS would
    bill (`edge`). Entering raises `EmulatorError`.
    """

    def __init__(self, *, python: str = sys.executable, policies_enforced: bool = False, metered: bool = False) -> None:
        self._python = python
        self._metered = metered
        self._policies_enforced = policies_enforced
        self._session = _session()
        self._port = 0
        self._directory = Path()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="stockstream-emulator-"))
        self._port = _free_port()
        try:
            self._start()
            self._wait_until_healthy()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def endpoint_url(self) -> str:
        """Where every service answers."""
        return f"{'https' if self._policies_enforced else 'http'}://{HOST}:{self._port}"

    @property
    def log(self) -> Path:
        """What the emulator wrote; it goes when the block ends."""
        return self._directory / "ministack.log"

    @property
    def calls(self) -> Path:
        """The calls that were metered, a JSON line each; it goes when the block ends."""
        return self._directory / "calls.jsonl"

    def environment(self, base: Mapping[str, str] = os.environ) -> dict[str, str]:
        """A whole environment for a child process that takes the emulator for AWS.

        `base` without its own AWS settings, profiles included, and with the emulator's; proxies are not asked for it.
        """
        environment = {name: value for name, value in base.items() if not name.startswith("AWS_")}
        environment |= _CREDENTIALS
        environment |= {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        if self._policies_enforced:
            environment["AWS_CA_BUNDLE"] = str(self._certificate)
        for name in ("NO_PROXY", "no_proxy"):
            environment[name] = ",".join(filter(None, (base.get(name), HOST, "localhost")))
        return environment

    def client(self, service_name: str, *, config: Config | None = None) -> Any:
        """A boto3 client of one service, whatever this process's environment says of AWS and of proxies."""
        return self._session.client(
            service_name,
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=_CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            verify=str(self._certificate) if self._policies_enforced else None,
            config=(config or Config()).merge(Config(proxies={})),
        )

    @property
    def _certificate(self) -> Path:
        return self._directory / "tmp" / "ministack-tls" / "server.crt"

    def _start(self) -> None:
        directory = self._directory
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
            # It would remove the containers of every other MiniStack, and listen on fixed ports for MQTT and SFTP.
            "DOCKER_HOST": f"unix://{directory}/none.sock",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
        }
        if self._policies_enforced:
            environment |= {"AUTH": "true", "USE_SSL": "1"}
        command = [self._python, "-m", "ministack"]
        if self._metered:
            environment["STOCKSTREAM_CALLS"] = str(self.calls)
            # -P: the folder of this file would be on its path, and the names of our modules hide others.
            command = [self._python, "-P", str(EDGE)]
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

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_healthy():
            if self._process is not None and self._process.poll() is not None:
                raise EmulatorError(f"the emulator ended with status {self._process.returncode}:\n{self._log_tail()}")
            if time.monotonic() > deadline:
                raise EmulatorError(f"the emulator did not answer within {_START_SECONDS:.0f} s:\n{self._log_tail()}")
            time.sleep(_POLL_SECONDS)

    def _is_healthy(self) -> bool:
        # http.client, unlike urllib, knows no proxies.
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
        """End the emulator and every process that it started, and remove its directory."""
        process, self._process = self._process, None
        if process is not None:
            _kill_session(process)
        shutil.rmtree(self._directory, ignore_errors=True)


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kill the emulator and the workers of its functions, and give the system a moment to reap them.

    At once, for it keeps nothing worth saving, and its own shutdown waits for connections that clients keep. No longer
    than a moment: in a container whose first process reaps nothing, the dead stay members of their group.
    """
    with suppress(ProcessLookupError, PermissionError):  # none is left; macOS says the latter of a group of the dead
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + _REAP_SECONDS
    with suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < deadline:
            os.killpg(process.pid, 0)
            time.sleep(_POLL_SECONDS)


def _session() -> boto3.Session:
    """A session that reads no profile, whatever AWS_PROFILE names: botocore refuses one that it cannot find."""
    nowhere = (None, None, os.devnull, None)
    return boto3.Session(
        botocore_session=botocore.session.Session(
            session_vars={
                "profile": (None, None, None, None),
                "config_file": nowhere,
                "credentials_file": nowhere,
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
