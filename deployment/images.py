"""The images that a stage runs: that of the producer, and that of the history's tasks if the stage keeps a history."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from botocore.client import BaseClient

from deployment.deployer import HISTORY_IMAGE, IMAGE, Deployment, MakeImage
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
