"""An emulator, and the templates deployed to it, for the whole session."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployment.deployer import Deployment
from deployment.functions import PROCESSOR
from deployment.package import Target, build
from deployment.stacks import Outputs
from replica.emulator import Emulator


@pytest.fixture(scope="session")
def replica_python() -> str:
    """The interpreter of the environment that holds the emulator: it pins botocore, so ours does not."""
    python = os.environ.get("STOCKSTREAM_REPLICA_PYTHON")
    if not python:
        pytest.skip("STOCKSTREAM_REPLICA_PYTHON names no interpreter with MiniStack: run `make test`")
    return python


@pytest.fixture(scope="session")
def emulator(replica_python: str) -> Iterator[Emulator]:
    """Shared: a test makes its own resources, or stacks under its own prefix."""
    with Emulator(python=replica_python) as started:
        yield started


@pytest.fixture(scope="session")
def package() -> Path:
    """The processor's zip, for the interpreter that the emulator runs functions with.

    It is in the directory of the builds, whose wheels are installed once. Processes may build there at the same time.
    """
    return build(PROCESSOR, Target.of_this_interpreter())


@pytest.fixture(scope="session")
def deployed(emulator: Emulator, package: Path) -> Outputs:
    """The outputs of the whole pipeline, deployed; nothing but the test itself reads the stream."""
    deployment = Deployment(emulator.client("cloudformation"), emulator.client("s3"), prefix="deployed")
    return deployment.deploy({"processor": package}, {"MappingState": "Disabled"})
