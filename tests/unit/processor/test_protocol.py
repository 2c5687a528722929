"""The commit protocol, modelled."""

from __future__ import annotations

import os

from tests.unit.processor.promises import broken_promises
from tests.unit.processor.runs import play_seed

SEEDS = int(os.environ.get("STOCKSTREAM_SEEDS", "3000"))


def test_every_promise_is_kept_over_thousands_of_seeds() -> None:
    for seed in range(SEEDS):
        run = play_seed(seed)
        broken = broken_promises(run)
        assert not broken, "\n".join([f"seed {seed}", *run.trace, repr(broken)])
