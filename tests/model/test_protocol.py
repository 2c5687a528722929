"""The commit protocol keeps its invariants whatever Lambda, AWS and the producers do. See README.md in this folder.

`STOCKSTREAM_SEED=<seed>` replays one random run, and `STOCKSTREAM_SEEDS=<count>` plays another number of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from itertools import count, product
from typing import get_args
from zlib import crc32

import pytest

from replica.event_source.mapping import UNLIMITED
from tests.model.invariants import violations
from tests.model.lambda_function import CALLS, Fault, FaultKind, Invocation
from tests.model.mutants import MUTANTS, Mutant
from tests.model.random_scheduler import mapping_of, play_seed
from tests.model.runs import Run, is_about_alert
from tests.model.scripted_scheduler import FAULTY, ROLES, Operated, ScriptedScheduler, play_script
from tests.support.sizes import sized

SEEDS = int(os.environ.get("STOCKSTREAM_SEEDS", sized(64, 2_000)))
ONE_SEED = os.environ.get("STOCKSTREAM_SEED")
PARTS: list[Sequence[int]] = [range(start, SEEDS, 8) for start in range(8)] if ONE_SEED is None else [[int(ONE_SEED)]]
"""The seeds in several parts, so that they can run in parallel. The full size is what finds every mutant."""
SEEDS_OF_A_MUTANT = 2_000
"""How many runs the model has to find the violation of a mutant. It takes about twenty, and rarely more than a hundred.
Rules that matter only if an invocation finishes between two others take some hundreds."""
STEP = sized(10, 1)
"""A fault is tried at every tenth point by default. Which points these are differs between the parametrized tests."""
RESUME_STEP = sized(40, 2)
"""By default, an abandoned invocation continues at every 40th call of others. Which calls these are differs too."""
EDIT_STEP = sized(10, 2)
"""By default, an operator reads at every tenth point."""


def offset_of(*parameters: object) -> int:
    """A number that differs between parametrized tests, and is the same in each run."""
    return crc32(repr(parameters).encode())


def assert_no_violation(run: Run, name: str) -> None:
    found = violations(run)
    if found:
        problems = [f"{invariant}: {problem}" for invariant, all_ in found.items() for problem in all_]
        pytest.fail("\n".join([name, *run.trace, "violations:", *problems]))


@cache
def points_of_the_batch(first: str) -> Sequence[str]:
    """The points before and after each call that the batch of the script makes without a fault."""
    run = play_script(ScriptedScheduler(first, "cold"), mapping_of(bisect=False, retries=UNLIMITED))
    assert_no_violation(run, "without a fault")
    return run.invocations[FAULTY].points


BISECT = pytest.mark.parametrize("bisect", [False, True], ids=["whole", "bisected"])


@BISECT
@pytest.mark.parametrize("retries", [UNLIMITED, 0], ids=["retried", "redriven"])
@pytest.mark.parametrize("kind", ["killed", "failed", "response lost", "partial"])
@pytest.mark.parametrize(("first", "then"), list(product(ROLES, ROLES)))
def test_a_fault_at_any_point_of_a_batch_violates_no_invariant(
    first: str, then: str, kind: FaultKind, retries: int, *, bisect: bool
) -> None:
    mapping = mapping_of(bisect=bisect, retries=retries)
    points = points_of_the_batch(first)
    possible = [point for point, call in enumerate(points) if call in CALLS.get(kind, (call,))]
    for point in possible[offset_of(first, then, kind, retries, bisect) % min(STEP, len(possible)) :: STEP]:
        run = play_script(ScriptedScheduler(first, then, Fault(point, kind)), mapping)
        assert_no_violation(run, f"{kind} at {points[point]}")


@BISECT
@pytest.mark.parametrize(
    ("first", "then"), [pair for pair in product(ROLES, ROLES) if pair[0] != pair[1] or pair[0] == "cold"]
)
def test_a_batch_that_is_abandoned_at_any_call_and_finishes_at_any_other_violates_no_invariant(
    first: str, then: str, *, bisect: bool
) -> None:
    mapping = mapping_of(bisect=bisect, retries=UNLIMITED)
    for point, call in enumerate(points_of_the_batch(first)):
        if call.endswith(" done"):
            continue
        for resume_at in count(offset_of(first, then, bisect, point) % RESUME_STEP, RESUME_STEP):
            scheduler = ScriptedScheduler(first, then, Fault(point, "abandoned"), resume_at)
            run = play_script(scheduler, mapping)
            assert_no_violation(run, f"abandoned at {call}, point {point}; continues at call {resume_at} of others")
            if scheduler.calls_of_others <= resume_at:
                break


@pytest.mark.parametrize("between", [0, 1, 3, 10])
@pytest.mark.parametrize("first", ROLES)
def test_an_operator_who_edits_a_lane_between_any_calls_violates_no_invariant(first: str, between: int) -> None:
    """The operator reads at one point and commits some points later."""
    edits = 0
    for reads_at in count(offset_of(first, between) % EDIT_STEP, EDIT_STEP):
        scheduler = ScriptedScheduler(first, first, operated=Operated(reads_at, reads_at + between))
        run = play_script(scheduler, mapping_of(bisect=False, retries=UNLIMITED))
        assert_no_violation(run, f"an operator reads after {reads_at} points, and commits {between} later")
        edits += len(run.history.edits)
        if scheduler.points <= reads_at + between:
            break
    assert edits > 0


@pytest.mark.parametrize("seeds", PARTS, ids=str)
def test_random_runs_violate_no_invariant(seeds: Sequence[int]) -> None:
    for seed in seeds:
        assert_no_violation(play_seed(seed), f"STOCKSTREAM_SEED={seed}")


SITUATIONS = {
    "killed": 0,
    "failed": 0,
    "abandoned": 0,
    "continued when abandoned": 0,
    "response lost": 18,
    "rows.put in part": 23,
    "bars.put in part": 119,
    "stored_alerts.put in part": 65,
    "alerts.publish in part": 153,
    "quarantine.put in part": 203,
    "commit conflict": 4,
    "repeated an alert": 7,
    "quarantined an alert": 0,
    "pointed to an object": 9,
    "redrove": 0,
    "RecordAgeExceeded": 10,
    "RetryAttemptsExhausted": 0,
    "forgot a symbol": 13,
    "met a forgotten symbol": 17,
    "killed at a checkpoint": 0,
    "failed at a checkpoint": 0,
    "abandoned at a checkpoint": 0,
    "response lost at a checkpoint": 0,
    "committed a log": 0,
    "put indicators back into an item": 0,
    "edited a lane": 0,
    "changed the rules within an invocation": 0,
    "tried again by other rules before a commit": 0,
    "tried again by other rules after a commit": 0,
}
"""What has to happen in some of the random runs, or they test less than they seem to. The number is the seed from which
the test searches for it."""


@pytest.mark.parametrize(("situation", "first_seed"), SITUATIONS.items(), ids=SITUATIONS)
def test_every_situation_happens_in_a_random_run(situation: str, first_seed: int) -> None:
    assert any(situation in situations(play_seed(seed)) for seed in range(first_seed, first_seed + SEEDS))


def situations(run: Run) -> Iterator[str]:
    trace = "\n".join(run.trace)
    yield from (kind for kind in get_args(FaultKind) if f" has the fault {kind!r} at " in trace)
    checkpoint = "'states.write_checkpoint"
    yield from (f"{kind} at a checkpoint" for kind in get_args(FaultKind) if f"{kind!r} at {checkpoint}" in trace)
    yield from (f"{call} in part" for call in re.findall(r"(\S+) processed \S*-\+", trace))
    yield from (why for why in ("RecordAgeExceeded", "RetryAttemptsExhausted") if why in trace)
    if "another invocation is processing" in trace:
        yield "commit conflict"
    if " continues for " in trace:
        yield "continued when abandoned"
    if run.discarded:
        yield "redrove"
    if len(run.cloud.alerts) > len(run.effects.alerts):
        yield "repeated an alert"
    if any(is_about_alert(message) for message in run.cloud.messages):
        yield "quarantined an alert"
    if run.history.edits:
        yield "edited a lane"
    if run.history.pointers:
        yield "pointed to an object"
    yield from _situations_of_memory(run)
    yield from _situations_of_rules(run)


def _situations_of_memory(run: Run) -> Iterator[str]:
    known: dict[str, AbstractSet[str]] = {}
    forgotten: set[str] = set()
    with_log: set[str] = set()
    for commit in run.history.commits:
        if commit.state.log is not None:
            yield "committed a log"
            with_log.add(commit.lane)
        elif commit.lane in with_log:
            yield "put indicators back into an item"
        symbols = commit.state.symbols.keys()
        if symbols & forgotten:
            yield "met a forgotten symbol"
        if gone := known.get(commit.lane, set()) - symbols:
            yield "forgot a symbol"
            forgotten |= gone
        known[commit.lane] = symbols


def _situations_of_rules(run: Run) -> Iterator[str]:
    if re.search(r"^    invocation .*\n    the rules change\n    invocation", "\n".join(run.trace), re.MULTILINE):
        yield "changed the rules within an invocation"
    committed = {commit.invocation for commit in run.history.commits}
    before: dict[int, Invocation] = {}
    for invocation in run.invocations:
        for record in invocation.records:
            earlier = before.get(record.sequence_number)
            rules = {earlier.rules if earlier is not None else None, invocation.rules}
            if len(rules - {None}) == 2 and earlier is not None:
                yield f"tried again by other rules {'after' if earlier.number in committed else 'before'} a commit"
            before[record.sequence_number] = invocation


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_without_any_one_rule_an_invariant_is_violated(mutant: Mutant) -> None:
    for seed in range(mutant.first_seed, SEEDS_OF_A_MUTANT):
        if mutant.violates.__name__ in violations(play_seed(seed, mutant.build)):
            return
    pytest.fail(f"{SEEDS_OF_A_MUTANT} runs did not violate {mutant.violates.__name__}")
