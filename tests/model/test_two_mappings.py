"""Nothing is lost and nothing is published twice while two mappings deliver one stream, as in a change of the mode."""

from __future__ import annotations

import os
import random
from functools import partial

import pytest

from tests.model.invariants import violations
from tests.model.random_scheduler import play_seed
from tests.model.two_mappings import TwoMappings
from tests.support.sizes import sized

SEEDS = sized(30, 400)
ONE_SEED = os.environ.get("STOCKSTREAM_SEED")


def test_two_mappings_of_one_stream_violate_no_invariant() -> None:
    conflicts = repeats = checkpoints = 0
    for seed in range(SEEDS) if ONE_SEED is None else [int(ONE_SEED)]:
        run = play_seed(seed, source_of=partial(TwoMappings, rng=random.Random(f"two mappings {seed}")))
        if found := violations(run):
            problems = [f"{invariant}: {problem}" for invariant, all_ in found.items() for problem in all_]
            pytest.fail("\n".join([f"STOCKSTREAM_SEED={seed}", *run.trace, "violations:", *problems]))
        delivered = [record.sequence_number for one in run.invocations for record in one.records]
        repeats += len(delivered) - len(set(delivered))
        conflicts += any("another invocation is processing" in line for line in run.trace)
        checkpoints += len(run.cloud.checkpoints)
    assert repeats > 0
    assert ONE_SEED is not None or (conflicts > 0 and checkpoints > 0)
