"""One emulator for the whole session, one zip of the processor, and one deployment of the pipeline."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployment.deployer import Deployment
from deployment.functions import PROCESSOR, QUERY
from deployment.package import Target, build
from deployment.stacks import Outputs
from replica.emulator import Emulator


@pytest.fixture(scope="session")
def replica_python() -> str:
    """The interpreter of the programs that tests start. The environment of the tests has the emulator."""
    return sys.executable


@pytest.fixture(scope="session")
def emulator(replica_python: str) -> Iterator[Emulator]:
    """A shared emulator. A test creates resources of its own, or stacks under a prefix of its own."""
    with Emulator(python=replica_python) as started:
        yield started


@pytest.fixture(scope="session")
def package() -> Path:
    """The processor's zip, for the interpreter that the emulator runs functions with.

    It is in the directory of the builds, whose wheels are installed once. Processes may build there at the same time.
    """
    return build(PROCESSOR, Target.of_this_interpreter())


@pytest.fixture(scope="session")
def packages(package: Path) -> dict[str, Path]:
    """The zips of all functions, by the names of their stacks."""
    return {PROCESSOR.name: package, QUERY.name: build(QUERY, Target.of_this_interpreter())}


@pytest.fixture(scope="session")
def deployed(emulator: Emulator, packages: dict[str, Path]) -> Outputs:
    """The outputs of a deployed pipeline. Only the test itself reads its stream."""
    deployment = Deployment(emulator.client("cloudformation"), emulator.client("s3"), prefix="deployed")
    return deployment.deploy(packages, {"MappingState": "Disabled"})
