"""The images that a stage runs: that of the producer, and that of the history's tasks if the stage keeps a history."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from botocore.client import BaseClient

from deployment.deployer import HISTORY_IMAGE, IMAGE, REPOSITORY_OF, Deployment, MakeImage
from deployment.image import IMAGES, OPERATIONS, PRODUCER, ContainerImage, mark_in_use, mark_unused
from deployment.package import Architecture
from deployment.stacks import REGISTRY, Outputs

HISTORY = "History"
"""The parameter of history.yaml that says whether the stage keeps a history."""


@dataclass(frozen=True, slots=True)
class StageImages:
    """The images of a stage, by the parameters that name them. Methods raise `ImageError`."""

    by_parameter: Mapping[str, ContainerImage]

    def check(self, named: Collection[str], *, docker: bool) -> None:
        """Raise `ImageError` if an image that no parameter in `named` names cannot be built here.

        `docker` says whether it is to be built now.
        """
        for name, image in self.by_parameter.items():
            if name not in named:
                image.check_sources()
                if docker:
                    image.check_docker()

    def of_history(
        self, named: Mapping[str, str], held: Mapping[str, str], reset: Collection[str]
    ) -> tuple[Mapping[str, str], str | None]:
        """What becomes of the history's image if a user names that of the producer alone, who may have no docker.

        `held` are the parameters that the stage has. Returns parameters to add to those in `named`, and a line that
        says so. The image is built if it can be. Otherwise, the tasks keep the one that they have.
        """
        image = self.by_parameter.get(HISTORY_IMAGE)
        if image is None or HISTORY_IMAGE in named or IMAGE not in named:
            return {}, None
        if image.can_be_built:
            return {}, f"{image.contents.title} is built here, because none is named by {image.contents.option}"
        kept = "" if HISTORY_IMAGE in reset else held.get(HISTORY_IMAGE, "")
        if not kept:
            return {}, None  # `check` says what can be done
        repository = REPOSITORY_OF[HISTORY_IMAGE]
        note = (
            f"{image.contents.title} cannot be built here, so the tasks keep {kept}. It may be older than this "
            f"version. Name another one: {image.contents.option}"
        )
        return {HISTORY_IMAGE: kept, repository: named.get(repository) or held.get(repository, "")}, note

    def names(self, ecr: BaseClient) -> Mapping[str, MakeImage]:
        """For a preview: what names each image without building it."""
        return {name: partial(_uri, image, ecr) for name, image in self.by_parameter.items()}

    def builds(self, ecr: BaseClient, report: Callable[[str], None]) -> Mapping[str, MakeImage]:
        """What builds and pushes each image."""
        return {name: partial(pushed, image, ecr, report) for name, image in self.by_parameter.items()}

    def mark(self, ecr: BaseClient, outputs: Outputs, named: Mapping[str, str], stage: str) -> None:
        """Tag the images that a stage runs. `named` has the URIs of those that were not built."""
        for name, image in self.by_parameter.items():
            uri = named.get(name) or _uri(image, ecr, outputs)
            mark_in_use(ecr, outputs[image.contents.repository], uri, stage)


def images_of(
    deployment: Deployment, architecture: Architecture, values: Mapping[str, str], reset: Collection[str]
) -> StageImages:
    """The images that a deployment needs. `values` are the parameters that it deploys with."""
    if REGISTRY not in deployment.stacks:
        return StageImages({})
    found = {IMAGE: ContainerImage(architecture, contents=PRODUCER)}
    if deployment.will_be(frozenset({HISTORY}), values, reset).get(HISTORY) == "on":
        found[HISTORY_IMAGE] = ContainerImage(architecture, contents=OPERATIONS)
    return StageImages(found)


def pushed(image: ContainerImage, ecr: BaseClient, report: Callable[[str], None], outputs: Outputs) -> str:
    """Build an image and push it to its repository, unless that has it. Returns its URI with its digest."""
    return image.push(ecr, outputs[image.contents.repository], report)


def unmark(ecr: BaseClient, outputs: Outputs, stage: str) -> None:
    """Remove the tags of a stage that is gone. `outputs` are those of the registry, which other stages use."""
    for contents in IMAGES.values():
        mark_unused(ecr, outputs[contents.repository], stage)


def _uri(image: ContainerImage, ecr: BaseClient, outputs: Outputs) -> str:
    return image.uri(ecr, outputs.get(image.contents.repository, "new"))
