"""Undelivered states in a real bucket."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec
import pytest

from deployment.stacks import Outputs
from producer_service.deduplication import SymbolHistory
from producer_service.errors import ForeignState, HandoverUnavailable, UnusableState
from producer_service.handover_store import UndeliveredState
from producer_service.packing import Row
from producer_service.s3_handover_store import S3HandoverStore
from replica.emulator import Emulator
from tests.fakes.fault_proxy import Answer, FaultProxy, Request

MAX_BYTES = 2**20
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
        yield S3HandoverStore(deployed["ArchiveBucket"], "quotes", max_bytes=MAX_BYTES)


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


def packed(content: object) -> bytes:
    return gzip.compress(msgspec.msgpack.encode(content))


GOOD = packed({"version": 2, "state": STATE})
ROW = {"id": 1, "lane": 0, "lines": b"a\n", "quotes": 1, "accepted_at": 1.5}


def state(**fields: object) -> bytes:
    return packed({"version": 2, "state": {"lanes": 4, "rows": [], "histories": {}, **fields}})


UNUSABLE = {
    "rubbish": b"rubbish",
    "nothing": b"",
    "corrupt deflate": GOOD[:20] + bytes(byte ^ 0xFF for byte in GOOD[20:40]) + GOOD[40:],
    "a wrong checksum": GOOD[:-8] + b"\0" * 8,
    "cut off": GOOD[:-9],
    "garbage behind": GOOD + b"garbage",
    "two members": GOOD + GOOD,
    "a bomb": gzip.compress(b"\0" * (MAX_BYTES + 1)),
    "a bomb of small objects": gzip.compress(b"\x82\xa7version\x02\xa5state" + b"\x91" * MAX_BYTES),
    "a long body": b"\0" * (MAX_BYTES + 1),
    "no map": packed([1, 2]),
    "no version": packed({"state": {}}),
    "a text as lanes": state(lanes="4"),
    "a text as lines": state(rows=[ROW | {"lines": "a"}]),
    "no UTF-8 as a symbol": packed({"version": 2, "state": {"lanes": 4, "rows": [], "histories": {"X": 1}}}).replace(
        b"X", b"\xff"
    ),
    "bad UTF-8": gzip.compress(
        msgspec.msgpack.encode({"version": 2, "state": {"lanes": 4, "rows": [], "histories": {"AAPL": None}}}).replace(
            b"AAPL", b"AA\xff\xfe"
        )
    ),
    "a number as a lane of 2^70": packed({"version": 2, "state": {"lanes": 1.5e70, "rows": [], "histories": {}}}),
    "nesting": gzip.compress(b"\x91" * 100_000),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_object_that_is_no_state_can_be_set_aside(
    store: S3HandoverStore, emulator: Emulator, deployed: Outputs, name: str
) -> None:
    s3, bucket = emulator.client("s3"), deployed["ArchiveBucket"]
    s3.put_object(Bucket=bucket, Key="undelivered/quotes/3-c", Body=UNUSABLE[name])
    tracemalloc.start()
    with pytest.raises(UnusableState) as refused:
        store.get("3-c")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * MAX_BYTES
    store.set_aside("3-c", f"{refused.value}\n\x1b[31m\u20ac")
    assert store.waiting() == []
    kept = s3.get_object(Bucket=bucket, Key="undelivered/quotes/refused/3-c")
    assert kept["Body"].read() == UNUSABLE[name]
    assert "undelivered/quotes/3-c" in kept["Metadata"]["reason"]
    s3.delete_object(Bucket=bucket, Key="undelivered/quotes/refused/3-c")


def test_a_state_of_another_version_is_for_another_producer(
    store: S3HandoverStore, emulator: Emulator, deployed: Outputs
) -> None:
    body = packed({"version": 3, "state": "in another form"})
    emulator.client("s3").put_object(Bucket=deployed["ArchiveBucket"], Key="undelivered/quotes/3-c", Body=body)
    with pytest.raises(ForeignState, match="has version 3"):
        store.get("3-c")
    store.delete("3-c")


def test_the_mark_of_a_folder_is_no_state(store: S3HandoverStore, emulator: Emulator, deployed: Outputs) -> None:
    emulator.client("s3").put_object(Bucket=deployed["ArchiveBucket"], Key="undelivered/quotes/", Body=b"")
    assert store.waiting() == []


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
