"""The image of the history's tasks, if a user names that of the producer alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployment.deployer import HISTORY_IMAGE, IMAGE
from deployment.errors import ImageError
from deployment.image import DOCKERFILE, OPERATIONS, PRODUCER, ContainerImage
from deployment.images import StageImages

HELD = {HISTORY_IMAGE: "uri@sha256:1", "HistoryImageRepositoryArn": "arn"}
NAMED = {IMAGE: "producer"}


@pytest.fixture
def images(tmp_path: Path) -> StageImages:
    """The images of a stage with a history, where neither docker nor a checkout is."""
    return _images(tmp_path, "docker-that-is-not-installed")


def _images(root: Path, docker: str) -> StageImages:
    return StageImages(
        {
            IMAGE: ContainerImage("arm64", root, docker, PRODUCER),
            HISTORY_IMAGE: ContainerImage("arm64", root, docker, OPERATIONS),
        }
    )


def test_it_is_built_where_docker_and_a_checkout_are_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / DOCKERFILE).parent.mkdir()
    (tmp_path / DOCKERFILE).touch()
    found, note = _images(tmp_path, "sh").of_history(NAMED, HELD, ())
    assert found == {}
    assert note is not None
    assert note.startswith("the image of the history's tasks is built here, because none is named by --parameter Hist")


def test_elsewhere_the_tasks_keep_the_image_that_they_have(images: StageImages) -> None:
    found, note = images.of_history(NAMED, HELD, ())
    assert found == HELD
    assert note is not None
    assert "cannot be built here, so the tasks keep uri@sha256:1. It may be older than this version." in note
    images.check({**NAMED, **found}, docker=True)


@pytest.mark.parametrize(("held", "reset"), [({}, ()), ({HISTORY_IMAGE: ""}, ()), (HELD, (HISTORY_IMAGE,))])
def test_without_one_nothing_is_deployed(images: StageImages, held: dict[str, str], reset: tuple[str, ...]) -> None:
    assert images.of_history(NAMED, held, reset) == ({}, None)
    ways = "--parameter HistoryImage=URI.*Without a history, there is none: --parameter History=off"
    with pytest.raises(ImageError, match=ways):
        images.check(NAMED, docker=True)


@pytest.mark.parametrize("named", [{}, {HISTORY_IMAGE: "named"}, {IMAGE: "producer", HISTORY_IMAGE: "named"}])
def test_what_is_named_and_what_is_built_are_left_alone(images: StageImages, named: dict[str, str]) -> None:
    assert images.of_history(named, HELD, ()) == ({}, None)


def test_a_stage_without_a_history_needs_none(tmp_path: Path) -> None:
    images = StageImages({IMAGE: ContainerImage("arm64", tmp_path, "docker-that-is-not-installed", PRODUCER)})
    assert images.of_history(NAMED, HELD, ()) == ({}, None)
    images.check(NAMED, docker=True)
