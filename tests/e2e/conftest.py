"""Starts the compose stack once for all tests of this folder, and removes it with its volumes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator

import pytest

from tests.e2e.stack import ROOT, Stack, docker

PROJECT = f"stockstream-e2e-{os.getpid()}"
LOGS = ROOT / "build" / "e2e"


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A healthy stack that is storing quotes. Tests must restore this state."""
    if shutil.which("docker") is None or any(docker(*command).returncode for command in (["info"], ["compose", "ls"])):
        pytest.skip("there is no container engine: `docker info` or `docker compose ls` fails")
    stack = Stack(PROJECT, (), tmp_path_factory.mktemp("stack"))
    described = json.loads(stack.compose("config", "--format", "json").stdout)["services"]
    stack.services = tuple(
        name for name, service in described.items() if name != "grafana" or _is_available(service["image"])
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("AWS_ENDPOINT_URL", raising=False)  # localstack-client would use it
        try:
            stack.compose("--profile", "sql", "build")
            stack.up()
            stack.reader.new_alerts()  # this subscribes, so that no later alert is missed
            yield stack
        finally:
            if request.session.testsfailed:
                LOGS.mkdir(parents=True, exist_ok=True)
                (LOGS / "compose.log").write_text(stack.compose("logs", "--timestamps", check=False).stdout)
                print(f"the logs of the stack are in {LOGS}")  # noqa: T201  (pytest shows it with the failure)
            stack.compose("down", "--volumes", "--remove-orphans")
    assert stack.leftovers() == []


def _is_available(image: str) -> bool:
    """Whether an image exists on this machine, or can be pulled."""
    return docker("image", "inspect", image).returncode == 0 or docker("pull", "--quiet", image).returncode == 0
