"""Undelivered states in a real bucket."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from deployment.stacks import Outputs
from producer_service.deduplication import SymbolHistory
from producer_service.errors import HandoverUnavailable
from producer_service.handover_store import UndeliveredState
from producer_service.packing import Row
from producer_service.s3_handover_store import S3HandoverStore
from replica.emulator import Emulator
from tests.fakes.fault_proxy import Answer, FaultProxy, Request

STATE = UndeliveredState(
    4,
    (Row(1, 3, b"a\n", 1, 1.5), Row(2, 0, b"b\nc\n", 2, 2.5)),
    {"AAPL": SymbolHistory(datetime(2026, 11, 23, tzinfo=UTC), 1, (b"12345678", b"abcdefgh"))},
)


@pytest.fixture
def store(emulator: Emulator, deployed: Outputs, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3HandoverStore]:
    with monkeypatch.context() as patch:
        for name, value in emulator.environment().items():
            patch.setenv(name, value)
        yield S3HandoverStore(deployed["ArchiveBucket"], "quotes")


def test_a_state_is_read_back_unchanged_and_can_be_deleted(store: S3HandoverStore) -> None:
    store.put("2-b", STATE)
    store.put("1-a", STATE)
    assert store.waiting() == ["1-a", "2-b"]
    assert store.get("1-a") == STATE
    for key in ("1-a", "2-b", "2-b"):
        store.delete(key)
    assert store.waiting() == []
    assert store.get("1-a") is None


def test_states_of_other_streams_are_not_listed(store: S3HandoverStore, deployed: Outputs) -> None:
    other = S3HandoverStore(deployed["ArchiveBucket"], "quotes-of-another")
    other.put("1-a", STATE)
    assert store.waiting() == []
    other.delete("1-a")


def test_an_object_that_is_no_state_is_refused(store: S3HandoverStore, emulator: Emulator, deployed: Outputs) -> None:
    key = "undelivered/quotes/3-c"
    emulator.client("s3").put_object(Bucket=deployed["ArchiveBucket"], Key=key, Body=b"rubbish")
    with pytest.raises(HandoverUnavailable, match="cannot be read"):
        store.get("3-c")
    store.delete("3-c")


def test_a_missing_bucket_is_reported(emulator: Emulator, store: S3HandoverStore) -> None:
    del emulator
    with pytest.raises(HandoverUnavailable, match="no-such-bucket"):
        S3HandoverStore("no-such-bucket", "quotes").put("1-a", STATE)
    assert store.waiting() == []


def test_a_key_that_is_gone_is_told_from_one_that_may_not_be_read(
    emulator: Emulator, deployed: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 denies both, because the producer's role may not list every key."""

    def deny(request: Request) -> Answer | None:
        reads = request.method == "GET" and "/undelivered/quotes/" in urlsplit(request.path).path
        return Answer(403, b"<Error><Code>AccessDenied</Code></Error>") if reads else None

    proxy = FaultProxy(emulator.endpoint_url)
    proxy.fault = deny
    with proxy.running(), monkeypatch.context() as patch:
        for name, value in (emulator.environment() | {"AWS_ENDPOINT_URL": proxy.url}).items():
            patch.setenv(name, value)
        store = S3HandoverStore(deployed["ArchiveBucket"], "quotes")
        assert store.get("1-a") is None
        store.put("1-a", STATE)
        with pytest.raises(HandoverUnavailable, match="AccessDenied"):
            store.get("1-a")
        store.delete("1-a")
