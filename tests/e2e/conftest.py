"""The stack, brought up once for all tests of this folder, and torn down with its volumes."""

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
    """Running, healthy, with quotes on their way. A test leaves it so."""
    if shutil.which("docker") is None or any(
        docker(*question).returncode for question in (["info"], ["compose", "ls"])
    ):
        pytest.skip("no container engine answers: `docker info` or `docker compose ls` fails")
    stack = Stack(PROJECT, (), tmp_path_factory.mktemp("stack"))
    described = json.loads(stack.compose("config", "--format", "json").stdout)["services"]
    stack.services = tuple(
        name for name, service in described.items() if name != "grafana" or _can_be_had(service["image"])
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("AWS_ENDPOINT_URL", raising=False)  # localstack-client would prefer it
        try:
            stack.compose("build")
            stack.up()
            stack.reader.new_alerts()  # subscribes, before the first alert that a test waits for
            yield stack
        finally:
            if request.session.testsfailed:
                LOGS.mkdir(parents=True, exist_ok=True)
                (LOGS / "compose.log").write_text(stack.compose("logs", "--timestamps", check=False).stdout)
                print(f"the logs of the stack are in {LOGS}")  # noqa: T201  (for whoever reads the failure)
            stack.compose("down", "--volumes", "--remove-orphans")
    assert stack.leftovers() == []


def _can_be_had(image: str) -> bool:
    """Whether an image is here, or can be pulled."""
    return docker("image", "inspect", image).returncode == 0 or docker("pull", "--quiet", image).returncode == 0
