"""The image: its tag is its content, it is built once, and docker's trouble is told."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deployment.errors import ImageError
from deployment.image import ProducerImage

URI = "000000000000.dkr.ecr.us-east-1.amazonaws.com/stockstream"
DOCKER = """#!/usr/bin/env python3
import json, pathlib, sys
here = pathlib.Path(__file__).parent
with (here / "calls").open("a") as calls:
    given = sys.stdin.read() if "--password-stdin" in sys.argv else ""
    calls.write(json.dumps([sys.argv[1:], given]) + chr(10))
if sys.argv[1] == (here / "fails").read_text():
    sys.exit("no space left")
"""


class Registry:
    """ECR, as far as an image is concerned."""

    def __init__(self, *tags: str, error: str = "ImageNotFoundException") -> None:
        self.tags = tags
        self._error = error

    def describe_images(self, *, repositoryName: str, imageIds: list[dict[str, str]]) -> Any:  # noqa: N803  (boto3's)
        assert repositoryName == "stockstream"
        if imageIds[0]["imageTag"] not in self.tags:
            raise ClientError({"Error": {"Code": self._error, "Message": self._error}}, "DescribeImages")

    def get_authorization_token(self) -> Any:
        return {"authorizationData": [{"authorizationToken": base64.b64encode(b"AWS:secret").decode()}]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("docker/Dockerfile", "docker/probe.py", "requirements/producer.txt", "quotes/a.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    (tmp_path / "producer_service" / "sources").mkdir(parents=True)
    (tmp_path / "producer_service" / "sources" / "yahoo.py").write_text("1")
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    (docker.parent / "fails").write_text("nothing")
    return tmp_path


def image(root: Path) -> ProducerImage:
    return ProducerImage("arm64", root, str(root / "bin" / "docker"))


def calls(root: Path) -> list[tuple[list[str], str]]:
    path = root / "bin" / "calls"
    return [(call, given) for call, given in map(json.loads, path.read_text().splitlines())] if path.exists() else []


def test_a_tag_names_sources_and_cpu(root: Path) -> None:
    tag = image(root).tag
    assert tag == image(root).tag
    assert tag.startswith("arm64-")
    assert ProducerImage("x86_64", root).tag.startswith("x86-64-")
    (root / "producer_service" / "sources" / "yahoo.py").write_text("2")
    assert image(root).tag != tag


def test_a_tag_knows_nothing_of_what_is_not_in_the_image(root: Path) -> None:
    tag = image(root).tag
    (root / "README.md").write_text("news")
    cache = root / "quotes" / "__pycache__"
    cache.mkdir()
    (cache / "a.pyc").write_bytes(b"1")
    assert image(root).tag == tag


def test_an_image_that_the_registry_has_is_not_built(root: Path) -> None:
    made = image(root)
    reports: list[str] = []
    assert made.pushed(Registry(made.tag), URI, reports.append) == f"{URI}:{made.tag}"
    assert calls(root) == []
    assert reports == [f"{URI}:{made.tag} is there"]


def test_an_image_that_it_has_not_is_built_for_its_cpu_and_pushed_with_the_secret_on_no_command_line(
    root: Path,
) -> None:
    made = image(root)
    uri = made.pushed(Registry(), URI, lambda _: None)
    (build, _), (login, given), (push, _) = calls(root)
    assert build[:5] == ["build", "--platform", "linux/arm64", "--target", "producer"]
    assert build[build.index("--tag") + 1] == uri
    assert (login, given) == (["login", "--username", "AWS", "--password-stdin", URI.partition("/")[0]], "secret")
    assert push == ["push", "--quiet", uri]


def test_docker_s_trouble_is_told_in_its_own_words(root: Path) -> None:
    (root / "bin" / "fails").write_text("build")
    with pytest.raises(ImageError, match="docker build failed:\nno space left"):
        image(root).pushed(Registry(), URI, lambda _: None)


def test_a_machine_without_docker_is_told_to_name_an_image(root: Path) -> None:
    with pytest.raises(ImageError, match="takes docker to build, which is not here; name one that is built: IMAGE="):
        ProducerImage("arm64", root, "no-such-docker").pushed(Registry(), URI, lambda _: None)


def test_a_registry_that_refuses_is_told(root: Path) -> None:
    with pytest.raises(ImageError, match=r"does not answer: .*AccessDenied"):
        image(root).pushed(Registry(error="AccessDeniedException"), URI, lambda _: None)


def test_the_sources_of_the_repository_are_those_that_the_dockerfile_copies() -> None:
    from deployment.functions import ROOT  # noqa: PLC0415
    from deployment.image import _DOCKERFILE, _SOURCES  # noqa: PLC0415

    stages = (ROOT / _DOCKERFILE).read_text(encoding="utf-8").split("\nFROM ")
    own = [
        stage for stage in stages if stage.splitlines()[0].endswith((" AS environment", " AS runtime", " AS producer"))
    ]
    copied = {
        line.split()[1].rstrip("/")
        for stage in own
        for line in stage.splitlines()
        if line.startswith("COPY ") and "--from" not in line
    }
    assert copied == set(_SOURCES) - {_DOCKERFILE}
