"""An image: its tag names what it is built from, and only an image that the registry lacks is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployment.errors import ImageError
from deployment.functions import ROOT
from deployment.image import DOCKERFILE, IMAGES, ContainerImage, mark_in_use, mark_unused, repository_arn
from tests.fakes.image_registry import REPOSITORY_URI, FakeRegistry, digest_of

PINNED = f"python:3.13-slim@sha256:{'1' * 64}"
OTHER_BASE = f"python:3.13-slim@sha256:{'2' * 64}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("docker/Dockerfile", "docker/probe.py", "requirements/producer.txt", "quotes/a.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    (tmp_path / DOCKERFILE).write_text(f"ARG PYTHON_IMAGE={PINNED}\nFROM ${{PYTHON_IMAGE}} AS environment\n")
    (tmp_path / "producer_service" / "sources").mkdir(parents=True)
    (tmp_path / "producer_service" / "sources" / "yahoo.py").write_text("1")
    return tmp_path


def test_a_tag_names_sources_and_cpu(root: Path) -> None:
    tag = ContainerImage("arm64", root).tag
    assert tag == ContainerImage("arm64", root).tag
    assert tag.startswith("arm64-")
    assert ContainerImage("x86_64", root).tag.startswith("x86-64-")
    (root / "producer_service" / "sources" / "yahoo.py").write_text("2")
    assert ContainerImage("arm64", root).tag != tag


def test_a_tag_names_the_base_image_too(root: Path) -> None:
    tag = ContainerImage("arm64", root, "no-such-docker").tag
    (root / DOCKERFILE).write_text(f"ARG PYTHON_IMAGE={OTHER_BASE}\n")
    assert ContainerImage("arm64", root, "no-such-docker").tag != tag


def test_the_digest_that_the_dockerfile_has_is_used_without_asking_docker(root: Path) -> None:
    assert ContainerImage("arm64", root, "no-such-docker").base == PINNED


def test_the_dockerfile_names_its_base_once_and_every_image_is_built_on_it() -> None:
    lines = (ROOT / DOCKERFILE).read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.startswith("ARG PYTHON_IMAGE=")]) == 1
    bases = {line.split()[1] for line in lines if line.startswith("FROM ")}
    stages = {line.split()[3] for line in lines if line.startswith("FROM ")}
    assert bases - stages == {"${PYTHON_IMAGE}"}


def test_a_tag_ignores_files_that_are_not_in_the_image(root: Path) -> None:
    tag = ContainerImage("arm64", root).tag
    (root / "README.md").write_text("news")
    cache = root / "quotes" / "__pycache__"
    cache.mkdir()
    (cache / "a.pyc").write_bytes(b"1")
    assert ContainerImage("arm64", root).tag == tag


def test_an_image_that_the_registry_has_is_named_by_its_digest_and_not_built(root: Path) -> None:
    image = ContainerImage("arm64", root, "no-such-docker")
    registry = FakeRegistry(image.tag)
    reports: list[str] = []
    pushed = f"{REPOSITORY_URI}@{digest_of(image.tag)}"
    assert image.push(registry, REPOSITORY_URI, reports.append) == pushed
    assert reports == [f"{REPOSITORY_URI}:{image.tag} exists already"]
    assert image.uri(registry, REPOSITORY_URI) == pushed


@pytest.mark.parametrize("repository", [REPOSITORY_URI, "new"])
def test_an_image_that_is_still_to_be_built_is_named_by_its_tag(root: Path, repository: str) -> None:
    image = ContainerImage("arm64", root, "no-such-docker")
    assert image.uri(FakeRegistry(), repository) == f"{repository}:{image.tag}"
    assert image.uri(FakeRegistry(error="RepositoryNotFoundException"), repository) == f"{repository}:{image.tag}"


def test_a_preview_without_docker_says_that_docker_would_name_the_image(root: Path) -> None:
    (root / DOCKERFILE).write_text("ARG PYTHON_IMAGE=python:3.13-slim\n")
    uri = ContainerImage("arm64", root, "no-such-docker").uri(FakeRegistry(), REPOSITORY_URI)
    assert uri == f"{REPOSITORY_URI}:known-when-docker-is-installed"


def test_the_image_of_a_stage_is_marked_and_the_mark_moves() -> None:
    registry = FakeRegistry("one", "two")
    for tag in ("one", "two", "two"):
        mark_in_use(registry, REPOSITORY_URI, f"{REPOSITORY_URI}@{digest_of(tag)}", "prod")
        assert registry.tags["in-use-prod"] == digest_of(tag)
    mark_in_use(registry, REPOSITORY_URI, f"{REPOSITORY_URI}:one", "dev")
    assert registry.tags["in-use-dev"] == digest_of("one")
    assert registry.tags["in-use-prod"] == digest_of("two")


def test_the_mark_of_a_stage_that_is_gone_is_removed_and_its_image_stays() -> None:
    registry = FakeRegistry("one")
    for stage in ("dev", "prod"):
        mark_in_use(registry, REPOSITORY_URI, f"{REPOSITORY_URI}:one", stage)
    for _ in range(2):
        mark_unused(registry, REPOSITORY_URI, "dev")
    assert registry.tags.keys() == {"one", "in-use-prod"}


def test_an_image_of_another_repository_is_not_marked() -> None:
    registry = FakeRegistry()
    for image in ("docker.io/x/y:1", f"{REPOSITORY_URI}-of-others@{digest_of('one')}", f"{REPOSITORY_URI}/more:1"):
        mark_in_use(registry, REPOSITORY_URI, image, "prod")
    assert registry.tags == {}


def test_an_image_that_is_gone_cannot_be_marked() -> None:
    with pytest.raises(ImageError, match="the repository does not have"):
        mark_in_use(FakeRegistry(), REPOSITORY_URI, f"{REPOSITORY_URI}@{digest_of('one')}", "prod")


@pytest.mark.parametrize(
    ("image", "arn"),
    [
        (f"{REPOSITORY_URI}:1", "arn:aws:ecr:us-east-1:000000000000:repository/stockstream"),
        (
            f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app@{digest_of('1')}",
            "arn:aws:ecr:eu-west-1:123456789012:repository/team/app",
        ),
        (
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/app",
            "arn:aws-cn:ecr:cn-north-1:123456789012:repository/app",
        ),
        (
            "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com/app:1",
            "arn:aws-us-gov:ecr:us-gov-west-1:123456789012:repository/app",
        ),
        ("123456789012.dkr-ecr.us-east-1.on.aws/app:1", "arn:aws:ecr:us-east-1:123456789012:repository/app"),
        ("public.ecr.aws/team/app:1", None),
        ("registry.example.org/123456789012.dkr.ecr.us-east-1.amazonaws.com/app:1", None),
        ("", None),
    ],
)
def test_the_repository_that_ecs_may_pull_from_follows_from_the_uri(image: str, arn: str | None) -> None:
    assert repository_arn(image) == arn


def test_without_docker_the_error_says_how_to_name_an_image(root: Path) -> None:
    with pytest.raises(ImageError, match=r"docker is not installed.* name an image that is built already: --image URI"):
        ContainerImage("arm64", root, "no-such-docker").push(FakeRegistry(), REPOSITORY_URI, lambda _: None)


def test_a_registry_that_refuses_is_reported(root: Path) -> None:
    with pytest.raises(ImageError, match=r"AWS rejected a request to .*AccessDenied"):
        ContainerImage("arm64", root).push(FakeRegistry(error="AccessDeniedException"), REPOSITORY_URI, lambda _: None)


@pytest.mark.parametrize("target", IMAGES)
def test_the_tag_covers_everything_that_the_dockerfile_copies(target: str) -> None:
    stages = (ROOT / DOCKERFILE).read_text(encoding="utf-8").split("\nFROM ")
    names = (" AS environment", " AS runtime", f" AS {target}-environment", f" AS {target}")
    own = [stage for stage in stages if stage.splitlines()[0].endswith(names)]
    copied = {
        line.split()[1].rstrip("/")
        for stage in own
        for line in stage.splitlines()
        if line.startswith("COPY ") and "--from" not in line
    }
    assert copied == set(IMAGES[target].sources) - {DOCKERFILE}


def test_without_a_checkout_an_image_has_to_be_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="--image URI"):
        ContainerImage("arm64", tmp_path).check_sources()
