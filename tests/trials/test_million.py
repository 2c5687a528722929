"""The trials at full size: `pytest tests/trials -m trials`. `python -m tests.trials` prints them as a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.kinesis_standin.faults import ALL_FAULTS
from benchmarks.load import QuoteLoad
from tests.trials.naive import NaiveSender
from tests.trials.trial import try_naive, try_producer

pytestmark = [pytest.mark.trials, pytest.mark.timeout(1_800)]

MILLION = QuoteLoad(1_000_000, 500)


def test_a_million_quotes_through_every_fault(tmp_path: Path) -> None:
    outcome = try_producer(MILLION, ALL_FAULTS, tmp_path)
    assert (outcome.lost, outcome.unexpected, outcome.verdict.out_of_order) == (0, 0, 0)
    assert outcome.verdict.repeated_after_fault > 0
    assert outcome.verdict.repeated_without_reason == 0


def test_a_million_quotes_with_twenty_kills(tmp_path: Path) -> None:
    outcome = try_producer(MILLION, ALL_FAULTS, tmp_path, kills=20)
    assert (outcome.lost, outcome.unexpected, outcome.verdict.out_of_order) == (0, 0, 0)
    assert max(outcome.verdict.repeats_by_key.values()) <= 20


def test_a_sender_without_lanes_loses_and_reorders() -> None:
    outcome = try_naive(QuoteLoad(100_000, 500), ALL_FAULTS, NaiveSender(4, "at once"))
    assert outcome.lost > 0
    assert outcome.verdict.out_of_order > 0
