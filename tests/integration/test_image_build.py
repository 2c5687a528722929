"""The producer's image is built and pushed by docker. Here docker is a script that records its calls."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deployment.errors import ImageError
from deployment.image import ProducerImage
from tests.fakes.image_registry import PASSWORD, REPOSITORY_URI, FakeRegistry

DOCKER = """#!/usr/bin/env python3
import json, pathlib, sys
here = pathlib.Path(__file__).parent
with (here / "calls").open("a") as calls:
    given = sys.stdin.read() if "--password-stdin" in sys.argv else ""
    calls.write(json.dumps([sys.argv[1:], given]) + chr(10))
if sys.argv[1] == (here / "fails").read_text():
    sys.exit("no space left")
"""


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    path = tmp_path / "docker"
    path.write_text(DOCKER)
    path.chmod(0o755)
    (tmp_path / "fails").write_text("nothing")
    return path


def calls(docker: Path) -> list[tuple[list[str], str]]:
    """The arguments and the standard input of each call."""
    lines = docker.with_name("calls").read_text().splitlines()
    return [(arguments, given) for arguments, given in map(json.loads, lines)]


def test_a_missing_image_is_built_for_its_cpu_and_pushed_with_the_password_on_no_command_line(docker: Path) -> None:
    uri = ProducerImage("arm64", docker=str(docker)).push(FakeRegistry(), REPOSITORY_URI, lambda _: None)
    (build, _), (login, given), (push, _) = calls(docker)
    assert build[:5] == ["build", "--platform", "linux/arm64", "--target", "producer"]
    assert build[build.index("--tag") + 1] == uri
    registry = REPOSITORY_URI.partition("/")[0]
    assert (login, given) == (["login", "--username", "AWS", "--password-stdin", registry], PASSWORD)
    assert push == ["push", "--quiet", uri]


def test_an_error_of_docker_is_reported_in_its_own_words(docker: Path) -> None:
    docker.with_name("fails").write_text("build")
    with pytest.raises(ImageError, match="docker build failed:\nno space left"):
        ProducerImage("arm64", docker=str(docker)).push(FakeRegistry(), REPOSITORY_URI, lambda _: None)
