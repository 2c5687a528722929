"""A world in memory, a stream of one shard, and a processor between them."""

import pytest

from processor_lambda.memory import World
from processor_lambda.processor import Processor
from tests.unit.processor.pipeline import Shard, make_processor


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def shard() -> Shard:
    return Shard()


@pytest.fixture
def processor(world: World) -> Processor:
    return make_processor(world)
