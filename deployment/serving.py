"""What a stage serves to its readers: nothing, the API, or the dashboard with the API.

The stacks `api` and `web` exist only where a stage asks for them. A stage that no longer asks for them loses them, and
nothing of its data with them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from deployment.cloudformation import parameters_of
from deployment.deployer import Deployment
from deployment.page import BUNDLE, Page, configuration_of, files_of
from deployment.parameters import Named
from deployment.stacks import DRIFT, ON_REQUEST, Outputs

SERVE = "Serve"
"""The parameter of drift.yaml that says what is served. That stack also remembers it."""
WEB = "web"
"""The stack of the dashboard."""
_STACKS: Mapping[str, tuple[str, ...]] = {"nothing": (), "api": ("api",), "dashboard": ("api", WEB)}


@dataclass(frozen=True, slots=True)
class Serving:
    """What a deployment does for the readers."""

    deployment: Deployment
    """All stacks to deploy."""
    removed: Deployment
    """The stacks that the stage no longer asks for."""
    stage: str
    bundle: Path = BUNDLE
    """The folder of the built page."""

    def check(self) -> None:
        """Raise `DeploymentError` if the dashboard is to be deployed and its page is not built."""
        if self._has_page:
            files_of(self.bundle, {})

    @property
    def notes(self) -> tuple[str, ...]:
        """What happens besides the changes of stacks."""
        return ("dashboard: note: its files are uploaded again",) if self._has_page else ()

    @property
    def changes(self) -> Mapping[str, tuple[str, ...]]:
        """The stacks that are deleted, in the form of a preview."""
        prefix = self.deployment.prefix
        return {f"{prefix}-{name}": ("delete the stack",) for name in reversed(self.removed.stacks)}

    def complete(self, outputs: Outputs) -> None:
        """Upload the page, and delete the stacks that are no longer asked for. Raises `DeploymentError`."""
        if self._has_page:
            page = Page(self.deployment.s3, outputs["PageBucket"], self.deployment.report)
            page.upload(files_of(self.bundle, configuration_of(self.stage, outputs)))
        self.removed.destroy()

    @property
    def _has_page(self) -> bool:
        return WEB in self.deployment.stacks


def choose_serving(deployment: Deployment, named: Iterable[Named], reset: Collection[str], stage: str) -> Serving:
    """What a deployment serves: what the user names, else what is deployed, else nothing.

    A deployment of only some stacks changes nothing of it.
    """
    if DRIFT not in deployment.stacks:
        return Serving(deployment, replace(deployment, stacks=()), stage)
    memory = None if SERVE in reset else deployment.stack(DRIFT)
    held = {} if memory is None else parameters_of(memory)
    serve = next((one.value for one in named if one.name == SERVE), held.get(SERVE, "nothing"))
    wanted = _STACKS.get(serve, ())  # another value is refused with all other mistakes
    gone = tuple(name for name in ON_REQUEST if name not in wanted and deployment.stack(name) is not None)
    extended = replace(deployment, stacks=(*deployment.stacks, *wanted))
    return Serving(extended, replace(deployment, stacks=gone), stage)
