"""The commands `deploy` and `destroy`, run on an emulator as a person or as CI runs them."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time

import boto3
import pytest
from typer.testing import CliRunner

from deployment.cli import app
from replica.emulator import Emulator
from workspace.places import ROOT

TIMEOUT_SECONDS = 60.0


def run(emulator: Emulator, *arguments: str, code: int = 0) -> str:
    """What a command without a terminal prints for people. It runs in this process, which is faster."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers the environment of an earlier test
        done = CliRunner().invoke(app, list(arguments), env=emulator.environment())
        patch.setattr(boto3, "DEFAULT_SESSION", None)
    assert done.exit_code == code, done.output
    return done.stderr


def run_on_a_terminal(emulator: Emulator, question: bytes, answer: bytes, *arguments: str) -> tuple[int, str]:
    """The exit code and the output of a command on a terminal, on which somebody answers a question."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "deployment", *arguments],
        env=emulator.environment(),
        cwd=ROOT,
        stdin=child,
        stdout=child,
        stderr=child,
    )
    os.close(child)
    output, answered, deadline = b"", False, time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if not select.select([parent], [], [], 1)[0]:
            continue
        try:
            output += os.read(parent, 65536)
        except OSError:  # the program has closed the terminal
            break
        if question in output and not answered:
            os.write(parent, answer)
            answered = True
    os.close(parent)
    return process.wait(timeout=TIMEOUT_SECONDS), output.decode()
