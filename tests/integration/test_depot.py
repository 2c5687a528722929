"""Leftovers through a real bucket."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from deployment.stacks import Outputs
from producer_service.deduplication import Memory
from producer_service.errors import HandoverUnavailable
from producer_service.handover_store import Leftover, S3Depot
from producer_service.packing import Row
from replica.emulator import Emulator

LEFTOVER = Leftover(
    4,
    (Row(1, 3, b"a\n", 1, 1.5), Row(2, 0, b"b\nc\n", 2, 2.5)),
    {"AAPL": Memory(datetime(2026, 11, 23, tzinfo=UTC), 1, (b"12345678", b"abcdefgh"))},
)


@pytest.fixture
def depot(emulator: Emulator, deployed: Outputs, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Depot]:
    with monkeypatch.context() as patch:
        for name, value in emulator.environment().items():
            patch.setenv(name, value)
        yield S3Depot(deployed["ArchiveBucket"], "quotes")


def test_a_leftover_comes_back_as_it_went_and_is_gone_when_deleted(depot: S3Depot) -> None:
    depot.put("2-b", LEFTOVER)
    depot.put("1-a", LEFTOVER)
    assert depot.waiting() == ["1-a", "2-b"]
    assert depot.get("1-a") == LEFTOVER
    for key in ("1-a", "2-b", "2-b"):
        depot.delete(key)
    assert depot.waiting() == []
    assert depot.get("1-a") is None


def test_leftovers_of_other_streams_are_not_seen(depot: S3Depot, deployed: Outputs) -> None:
    other = S3Depot(deployed["ArchiveBucket"], "quotes-of-another")
    other.put("1-a", LEFTOVER)
    assert depot.waiting() == []
    other.delete("1-a")


def test_what_is_no_leftover_is_not_taken(depot: S3Depot, emulator: Emulator, deployed: Outputs) -> None:
    key = "undelivered/quotes/3-c"
    emulator.client("s3").put_object(Bucket=deployed["ArchiveBucket"], Key=key, Body=b"rubbish")
    with pytest.raises(HandoverUnavailable, match="cannot be read"):
        depot.get("3-c")
    depot.delete("3-c")


def test_a_bucket_that_is_not_there_is_told(emulator: Emulator, depot: S3Depot) -> None:
    del emulator
    with pytest.raises(HandoverUnavailable, match="no-such-bucket"):
        S3Depot("no-such-bucket", "quotes").put("1-a", LEFTOVER)
    assert depot.waiting() == []
