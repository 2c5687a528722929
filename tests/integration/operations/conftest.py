from collections.abc import Iterator
from pathlib import Path

import pytest

from operations import sqs
from replica.emulator import Emulator
from tests.fakes.fault_proxy import FaultProxy
from tests.support.operator import Operator


@pytest.fixture(scope="session")
def operator(emulator: Emulator, package: Path) -> Iterator[Operator]:
    """One deployed pipeline for all tests of the operator's commands.

    Commands in this process do not wait for messages, because the emulator has one server, which always knows them all.
    Commands in processes of their own wait as on AWS.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqs, "_WAIT_SECONDS", 0)
        yield Operator(emulator, package)


@pytest.fixture
def proxy(emulator: Emulator) -> Iterator[FaultProxy]:
    with FaultProxy(emulator.endpoint_url).running() as proxy:
        yield proxy
