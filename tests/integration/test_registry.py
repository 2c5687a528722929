"""The registry of an account and region, which all stages share, and the image that is built right after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from deployment.deployer import Deployment
from deployment.errors import DeploymentError, ImageError
from deployment.image import mark_in_use
from deployment.stacks import REGISTRY, Outputs
from replica.emulator import Emulator
from tests.support.whole_deployment import IMAGE

SHARED = "shared"


@pytest.fixture
def reports() -> list[str]:
    return []


def stage(emulator: Emulator, name: str, reports: list[str]) -> Deployment:
    """A stage of two stacks: the registry and one that only the stage has."""
    return Deployment(
        emulator.client("cloudformation"),
        emulator.client("s3"),
        f"{SHARED}-{name}",
        reports.append,
        stacks=(REGISTRY, "stream"),
        tags={"application": SHARED, "stage": name},
        shared_prefix=SHARED,
    )


@pytest.fixture
def stages(emulator: Emulator, reports: list[str]) -> Iterator[tuple[Deployment, Deployment]]:
    both = stage(emulator, "dev", reports), stage(emulator, "prod", reports)
    yield both
    for one in both:
        one.destroy()


def test_stages_share_one_repository_and_the_last_stage_takes_it_along(
    emulator: Emulator, stages: tuple[Deployment, Deployment], reports: list[str]
) -> None:
    dev, prod = stages
    repository = dev.deploy({})["RepositoryUri"]
    assert prod.deploy({})["RepositoryUri"] == repository
    assert f"{SHARED}-registry is up to date" in reports
    (registry,) = emulator.client("cloudformation").describe_stacks(StackName=f"{SHARED}-registry")["Stacks"]
    assert registry["Tags"] == [{"Key": "application", "Value": SHARED}]

    dev.destroy()
    assert f"kept {SHARED}-registry, whose images the stages prod use" in reports
    assert repository in repositories(emulator)
    prod.destroy()
    assert not [uri for uri in repositories(emulator) if f"{SHARED}-registry" in uri.lower()]


def test_an_image_that_cannot_be_built_leaves_the_other_stacks_as_they_are(
    emulator: Emulator, stages: tuple[Deployment, Deployment]
) -> None:
    def fails(known: Outputs) -> str:
        assert known["RepositoryUri"] in repositories(emulator)
        raise ImageError("docker buildx failed")

    with pytest.raises(ImageError):
        stages[0].deploy({}, images={"Image": fails})
    assert stages[0].stack(REGISTRY) is not None
    assert stages[0].stack("stream") is None


def test_an_image_that_is_named_is_not_built(emulator: Emulator, reports: list[str]) -> None:
    whole = replace(stage(emulator, "named", reports), stacks=(REGISTRY, "producer"))
    with pytest.raises(DeploymentError, match=r"AWS rejected shared-named-producer: .*StreamName"):
        whole.deploy({}, {"Image": IMAGE}, images={"Image": lambda _: pytest.fail("it was built")})
    whole.destroy()


def test_the_tag_that_says_what_a_stage_runs_moves_in_the_repository(
    emulator: Emulator, stages: tuple[Deployment, Deployment]
) -> None:
    repository, ecr = stages[0].deploy({})["RepositoryUri"], emulator.client("ecr")
    name = repository.partition("/")[2]
    for number in ("1", "2"):
        manifest = f'{{"schemaVersion": 2, "config": {number}}}'
        image = ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag=f"arm64-{number}")["image"]
        digest = image["imageId"]["imageDigest"]
        mark_in_use(ecr, repository, f"{repository}@{digest}", "prod")
        (found,) = ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": "in-use-prod"}])["imageDetails"]
        assert found["imageDigest"] == digest
        assert set(found["imageTags"]) == {f"arm64-{number}", "in-use-prod"}


def repositories(emulator: Emulator) -> set[str]:
    found = emulator.client("ecr").describe_repositories()["repositories"]
    return {repository["repositoryUri"] for repository in found}
