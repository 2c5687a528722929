"""Fixtures: AWS in memory, a shard of a stream, and a processor."""

import pytest

from processor_lambda.processor import Processor
from tests.fakes.pipeline import Shard, make_processor
from tests.fakes.processor_ports import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def shard() -> Shard:
    return Shard()


@pytest.fixture
def processor(world: World) -> Processor:
    return make_processor(world)
