"""The producer's image is built and pushed by docker. Here docker is a script that records its calls."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deployment.errors import ImageError
from deployment.image import ContainerImage
from tests.fakes.image_registry import PASSWORD, REPOSITORY_URI, FakeRegistry, digest_of

BASE_DIGEST = f"sha256:{'1' * 64}"
DOCKER = """#!/usr/bin/env python3
import json, pathlib, sys
here = pathlib.Path(__file__).parent
with (here / "calls").open("a") as calls:
    given = sys.stdin.read() if "--password-stdin" in sys.argv else ""
    calls.write(json.dumps([sys.argv[1:], given]) + chr(10))
if (here / "fails").read_text() in sys.argv:
    sys.exit("no space left")
if "inspect" in sys.argv:
    print('"DIGEST"')
""".replace("DIGEST", BASE_DIGEST)


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


def image(docker: Path) -> ContainerImage:
    return ContainerImage("arm64", docker=str(docker))


def test_a_missing_image_is_built_for_its_cpu_and_pushed_with_the_password_on_no_command_line(docker: Path) -> None:
    built = image(docker)
    uri = built.push(FakeRegistry(pushes=True), REPOSITORY_URI, lambda _: None)
    (inspect, _), (login, given), (build, _) = calls(docker)
    assert inspect[:4] == ["buildx", "imagetools", "inspect", "python:3.13-slim"]
    registry = REPOSITORY_URI.partition("/")[0]
    assert (login, given) == (["login", "--username", "AWS", "--password-stdin", registry], PASSWORD)
    assert build[:6] == ["buildx", "build", "--platform", "linux/arm64", "--target", "producer"]
    assert build[build.index("--tag") + 1] == f"{REPOSITORY_URI}:{built.tag}"
    assert uri == f"{REPOSITORY_URI}@{digest_of(built.tag)}"


def test_the_build_gets_the_base_image_by_its_digest_and_pushes_one_entry(docker: Path) -> None:
    image(docker).push(FakeRegistry(pushes=True), REPOSITORY_URI, lambda _: None)
    (*_, (build, _)) = calls(docker)
    assert f"PYTHON_IMAGE=python:3.13-slim@{BASE_DIGEST}" in build
    assert f"org.opencontainers.image.base.digest={BASE_DIGEST}" in build
    assert {"--provenance=false", "--push"} <= set(build)


@pytest.mark.parametrize("command", ["inspect", "build"])
def test_an_error_of_docker_is_reported_in_its_own_words(docker: Path, command: str) -> None:
    docker.with_name("fails").write_text(command)
    with pytest.raises(ImageError, match="docker buildx failed:\nno space left"):
        image(docker).push(FakeRegistry(), REPOSITORY_URI, lambda _: None)
