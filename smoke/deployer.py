"""Deploys and removes the stage with the commands that people use, and deploys a version of the function that fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from deployment.deployer import Deployment
from deployment.errors import DeploymentError
from deployment.functions import PROCESSOR, ROOT
from deployment.stacks import PIPELINE, Outputs
from operations.outputs import read_file
from smoke.deadline import Deadline

FAILING = 'def handler(event, context):\n    raise RuntimeError("this version fails on purpose, for a smoke test")\n'
"""The module of a version of the function that fails with every batch."""
_STOP_SECONDS = 20.0
_CHUNK = 4096
_LAST_WORDS = 50


class Deployer(Protocol):
    """What a smoke test needs of the deployment. Every method raises `DeploymentError`."""

    def deploy(self, deadline: Deadline) -> Outputs:
        """Create or update all stacks, and return their outputs."""

    def put_function(self, code: Path) -> None:
        """Deploy another zip of the function."""

    def destroy(self, deadline: Deadline) -> None:
        """Delete all stacks, except what they retain."""


@dataclass(frozen=True)
class CommandDeployer:
    """Runs `stockstream deploy --whole` and `stockstream destroy` as child processes."""

    prefix: str
    stage: str
    cloudformation: Any
    s3: Any
    environment: Mapping[str, str]
    """The environment of the child processes."""
    options: Sequence[str] = ()
    """Further options of `deploy`."""

    def deploy(self, deadline: Deadline) -> Outputs:
        """See `Deployer`."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "outputs")
            self._run(deadline, "deploy", "--whole", "--outputs-file", str(file), *self.options)
            return read_file(file)

    def put_function(self, code: Path) -> None:
        """See `Deployer`."""
        Deployment(
            self.cloudformation,
            self.s3,
            f"{self.prefix}-{self.stage}",
            stacks=PIPELINE,
            tags={"application": self.prefix, "stage": self.stage},
        ).deploy({PROCESSOR.name: code})

    def destroy(self, deadline: Deadline) -> None:
        """See `Deployer`."""
        self._run(deadline, "destroy")

    def _run(self, deadline: Deadline, command: str, *options: str) -> None:
        # -P keeps the user's directory off the import path.
        arguments = [sys.executable, "-P", "-m", "deployment", command]
        arguments += ["--prefix", self.prefix, "--stage", self.stage, *options]
        status, tail = run(arguments, deadline.seconds_left, self.environment)
        if status is None:
            raise DeploymentError(f"`{command}` did not finish within its time limit. Its last words: {tail}")
        if status != 0:
            raise DeploymentError(f"`{command}` ended with status {status}: {tail}")


def run(command: Sequence[str], seconds: float, environment: Mapping[str, str]) -> tuple[int | None, str]:
    """Run a command of ours, and pass on what it prints. Returns its status and its last words.

    The status is None if it did not end in time. However this returns, the command has ended.
    """
    process = subprocess.Popen(  # noqa: S603  (no shell)
        command,
        env={**environment, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    words: deque[str] = deque(maxlen=_LAST_WORDS)
    with process:
        assert process.stdout is not None  # noqa: S101  (Popen was called with stdout=PIPE)
        reader = threading.Thread(target=_pass_on, args=(process.stdout, words), daemon=True)
        reader.start()
        try:
            status: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            _stop(process)
            reader.join()
    return status, _last_words(words)


def _pass_on(output: IO[bytes], words: deque[str]) -> None:
    """Print what a command prints as it comes, also a question that does not end its line."""
    while chunk := os.read(output.fileno(), _CHUNK):
        text = chunk.decode(errors="replace")
        words.append(text)
        sys.stderr.write(text)  # the command has made it harmless
        sys.stderr.flush()


def _last_words(words: Iterable[str]) -> str:
    """The error that a command ended with, or its last line."""
    text = "".join(words).strip()
    _, separator, error = text.rpartition("error: ")
    return error.strip() if separator else text.rpartition("\n")[2]


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def failing_zip(folder: Path) -> Path:
    """The zip of a function that fails with every batch."""
    path = folder / f"{PROCESSOR.name}-failing.zip"
    module = PROCESSOR.handler.rpartition(".")[0].replace(".", "/") + ".py"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(f"{module.partition('/')[0]}/__init__.py"), "")
        archive.writestr(zipfile.ZipInfo(module), FAILING)
    return path
