"""Deploys and removes the stage with the commands that people use, and deploys a version of the function that fails."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deployment.deployer import Deployment
from deployment.functions import PROCESSOR
from deployment.stacks import PIPELINE, Outputs
from deployment.waiting import Wait
from operations.outputs import read_file
from smoke.commands import Commands
from smoke.deadline import Deadline
from smoke.stage import Stage

FAILING = 'def handler(event, context):\n    raise RuntimeError("this version fails on purpose, for a smoke test")\n'
"""The module of a version of the function that fails with every batch."""
_MODE = 0o644
"""Lambda runs a function as another user than the one that owns its files."""


class Deployer(Protocol):
    """What a smoke test needs of the deployment. Every method raises `DeploymentError` or `CommandFailed`."""

    def deploy(self, deadline: Deadline) -> Outputs:
        """Create or update all stacks, and return their outputs."""

    def put_function(self, code: Path, deadline: Deadline) -> None:
        """Deploy another zip of the function."""

    def destroy(self, deadline: Deadline) -> None:
        """Delete all stacks, except what they retain."""


@dataclass(frozen=True)
class CommandDeployer:
    """See `Deployer`. It runs `stockstream deploy --whole` and `stockstream destroy`."""

    stage: Stage
    commands: Commands
    options: Sequence[str] = ()
    """Further options of `deploy`."""
    stage_file: Sequence[str] = ()
    """The option of `deploy` and `destroy` that names the stage file."""

    def deploy(self, deadline: Deadline) -> Outputs:
        """See `Deployer`."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "outputs")
            options = ("--whole", "--outputs-file", str(file), *self.stage_file, *self.options)
            self.commands.run("deployment", "deploy", *self._names, *options, seconds=deadline.seconds_left)
            return read_file(file)

    def put_function(self, code: Path, deadline: Deadline) -> None:
        """See `Deployer`."""
        client = self.stage.client
        deployment = Deployment(
            cloudformation=client("cloudformation"),
            s3=client("s3"),
            prefix=self.stage.full_name,
            stacks=PIPELINE[: PIPELINE.index(PROCESSOR.name) + 1],
            tags={"application": self.stage.prefix, "stage": self.stage.name},
            cloudwatch=client("cloudwatch"),
            wait=Wait(timeout_seconds=deadline.seconds_left),
        )
        deployment.deploy({PROCESSOR.name: code})

    def destroy(self, deadline: Deadline) -> None:
        """See `Deployer`."""
        # The person confirmed the test, which removes what it deployed.
        options = ("--confirm", self.stage.name, *self.stage_file)
        self.commands.run("deployment", "destroy", *self._names, *options, seconds=deadline.seconds_left)

    @property
    def _names(self) -> tuple[str, ...]:
        return ("--prefix", self.stage.prefix, "--stage", self.stage.name)


def failing_zip(folder: Path) -> Path:
    """The zip of a function that fails with every batch."""
    path = folder / f"{PROCESSOR.name}-failing.zip"
    module = PROCESSOR.handler.rpartition(".")[0].replace(".", "/") + ".py"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in ((f"{module.partition('/')[0]}/__init__.py", ""), (module, FAILING)):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = _MODE << 16
            archive.writestr(entry, text)
    return path
