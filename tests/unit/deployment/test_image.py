"""The producer's image: its tag names its content, and it is built only when the registry does not have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployment.errors import ImageError
from deployment.functions import ROOT
from deployment.image import DOCKERFILE, SOURCES, ProducerImage
from tests.fakes.image_registry import REPOSITORY_URI, FakeRegistry


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("docker/Dockerfile", "docker/probe.py", "requirements/producer.txt", "quotes/a.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    (tmp_path / "producer_service" / "sources").mkdir(parents=True)
    (tmp_path / "producer_service" / "sources" / "yahoo.py").write_text("1")
    return tmp_path


def test_a_tag_names_sources_and_cpu(root: Path) -> None:
    tag = ProducerImage("arm64", root).tag
    assert tag == ProducerImage("arm64", root).tag
    assert tag.startswith("arm64-")
    assert ProducerImage("x86_64", root).tag.startswith("x86-64-")
    (root / "producer_service" / "sources" / "yahoo.py").write_text("2")
    assert ProducerImage("arm64", root).tag != tag


def test_a_tag_ignores_files_that_are_not_in_the_image(root: Path) -> None:
    tag = ProducerImage("arm64", root).tag
    (root / "README.md").write_text("news")
    cache = root / "quotes" / "__pycache__"
    cache.mkdir()
    (cache / "a.pyc").write_bytes(b"1")
    assert ProducerImage("arm64", root).tag == tag


def test_an_image_that_the_registry_has_is_not_built(root: Path) -> None:
    image = ProducerImage("arm64", root, "no-such-docker")
    reports: list[str] = []
    assert image.push(FakeRegistry(image.tag), REPOSITORY_URI, reports.append) == f"{REPOSITORY_URI}:{image.tag}"
    assert reports == [f"{REPOSITORY_URI}:{image.tag} exists already"]


def test_without_docker_the_error_says_how_to_name_an_image(root: Path) -> None:
    with pytest.raises(ImageError, match=r"docker is not installed.* name an image that is built already: --image URI"):
        ProducerImage("arm64", root, "no-such-docker").push(FakeRegistry(), REPOSITORY_URI, lambda _: None)


def test_a_registry_that_refuses_is_reported(root: Path) -> None:
    with pytest.raises(ImageError, match=r"AWS rejected a request to .*AccessDenied"):
        ProducerImage("arm64", root).push(FakeRegistry(error="AccessDeniedException"), REPOSITORY_URI, lambda _: None)


def test_the_tag_covers_everything_that_the_dockerfile_copies() -> None:
    stages = (ROOT / DOCKERFILE).read_text(encoding="utf-8").split("\nFROM ")
    own = [
        stage for stage in stages if stage.splitlines()[0].endswith((" AS environment", " AS runtime", " AS producer"))
    ]
    copied = {
        line.split()[1].rstrip("/")
        for stage in own
        for line in stage.splitlines()
        if line.startswith("COPY ") and "--from" not in line
    }
    assert copied == set(SOURCES) - {DOCKERFILE}


def test_without_a_checkout_an_image_has_to_be_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="--image URI"):
        ProducerImage("arm64", tmp_path).check_sources()
