"""Nothing is lost and nothing is published twice while two mappings deliver one stream, as in a change of the mode."""

from __future__ import annotations

import os
import random
from functools import partial
from unittest.mock import patch

import pytest

from replica.event_source.mapping import UNLIMITED
from tests.model.invariants import violations
from tests.model.random_scheduler import MAX_PUBLICATIONS, SCENARIOS, RandomScheduler, mapping_of
from tests.model.runs import REAL, Run, play
from tests.model.scenarios import random_scenario
from tests.model.two_mappings import TwoMappings
from tests.support.sizes import sized

SEEDS = sized(16, 400)
ONE_SEED = os.environ.get("STOCKSTREAM_SEED")


def play_seed(seed: int) -> Run:
    """A random run with two mappings. A seed determines it."""
    rng = random.Random(f"two mappings {seed}")
    mapping = mapping_of(
        bisect=rng.random() < 0.5,
        retries=rng.choice((UNLIMITED, UNLIMITED, 1)),
        factor=rng.choice((1, 2)),
        max_age_seconds=rng.choice((UNLIMITED, UNLIMITED, 60)),
    )
    with patch(MAX_PUBLICATIONS, rng.choice((1, 250))):
        return play(
            random_scenario(rng.randrange(SCENARIOS)),
            RandomScheduler(rng, random.Random(f"rules {seed}")),
            mapping,
            REAL,
            kill_at_end=rng.random() < 0.5,
            row_resolution=rng.choice(("every", "minute")),
            source_of=partial(TwoMappings, rng=rng),
        )


def test_two_mappings_of_one_stream_violate_no_invariant() -> None:
    conflicts = repeats = 0
    for seed in range(SEEDS) if ONE_SEED is None else [int(ONE_SEED)]:
        run = play_seed(seed)
        if found := violations(run):
            problems = [f"{invariant}: {problem}" for invariant, all_ in found.items() for problem in all_]
            pytest.fail("\n".join([f"STOCKSTREAM_SEED={seed}", *run.trace, "violations:", *problems]))
        delivered = [record.sequence_number for one in run.invocations for record in one.records]
        repeats += len(delivered) - len(set(delivered))
        conflicts += any("another invocation is processing" in line for line in run.trace)
    assert repeats > 0
    assert conflicts > 0 or ONE_SEED is not None
