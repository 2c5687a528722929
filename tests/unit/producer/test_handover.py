"""The state that a stopped producer stores, and that the next one restores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from producer_service.deduplication import SymbolHistory, deduplicate, merge_histories
from producer_service.errors import HandoverUnavailable, JournalError
from producer_service.handover import Handover
from producer_service.handover_store import UndeliveredState
from producer_service.health import Health
from producer_service.journal import Journal
from producer_service.metrics import Metrics
from producer_service.outbox import Outbox
from quotes import Quote, decode
from tests.fakes.handover_store import MemoryHandoverStore
from tests.support.quotes import OPEN, make_quote

MakeOutbox = Callable[..., Outbox]


@pytest.fixture
def make_outbox() -> Iterator[MakeOutbox]:
    made: list[Outbox] = []

    def make(directory: Path | None = None, lanes: int = 4) -> Outbox:
        made.append(
            Outbox(
                Journal(directory, lanes),
                lanes=lanes,
                max_bytes=2**20,
                linger_seconds=0,
                clock=lambda: 1.0,
                monotonic=lambda: 1.0,
                jitter=lambda: 1.0,
            )
        )
        return made[-1]

    yield make
    for outbox in made:
        outbox.close()


def accept(outbox: Outbox, *quotes: Quote) -> int:
    deduplicated = deduplicate(outbox.histories, quotes)
    outbox.put(deduplicated)
    return len(deduplicated.accepted)


def pending(outbox: Outbox) -> list[object]:
    lines: list[object] = []
    while packets := outbox.take(0):
        lines += [good.line for packet in packets for good in decode(packet.data).good]
        outbox.settle(packets, [True] * len(packets))
    return lines


def test_the_next_producer_delivers_the_stored_quotes_and_suppresses_repeats(make_outbox: MakeOutbox) -> None:
    before, after = make_outbox(), make_outbox()
    accept(before, make_quote(second=1), make_quote(second=2))
    state = before.undelivered()
    assert after.restore("a", state) == after.counts().recovered == 2
    assert accept(after, make_quote(second=2), make_quote(second=1)) == 0
    assert pending(after) == [make_quote(second=1), make_quote(second=2)]


def test_rows_that_were_handed_over_are_no_longer_pending(make_outbox: MakeOutbox, tmp_path: Path) -> None:
    before = make_outbox(tmp_path)
    accept(before, make_quote())
    before.forget(before.undelivered())
    assert (before.counts().pending, before.counts().bytes) == (0, 0)
    before.close()
    assert pending(make_outbox(tmp_path)) == []


def test_a_state_that_is_found_again_is_restored_once_even_after_a_crash(
    make_outbox: MakeOutbox, tmp_path: Path
) -> None:
    before = make_outbox()
    accept(before, make_quote())
    first = make_outbox(tmp_path)
    assert first.restore("a", before.undelivered()) == 1
    assert first.restore("a", before.undelivered()) == 0
    first.close()  # before the object was deleted
    second = make_outbox(tmp_path)
    assert second.restore("a", before.undelivered()) == 0
    assert pending(second) == [make_quote()]


def test_a_state_with_another_number_of_lanes_is_refused(make_outbox: MakeOutbox) -> None:
    with pytest.raises(JournalError, match="it has 8 lanes"):
        make_outbox().restore("a", UndeliveredState(8, (), {}))


histories = st.builds(
    lambda second, digests: SymbolHistory(OPEN.replace(second=second), len(digests) - 1, tuple(dict.fromkeys(digests))),
    st.integers(0, 2),
    st.lists(st.sampled_from([b"a" * 8, b"b" * 8, b"c" * 8]), min_size=1, max_size=3),
)


@given(histories, histories)
def test_two_histories_merge_into_one_that_forgets_nothing_of_the_newest_time(
    one: SymbolHistory, other: SymbolHistory
) -> None:
    both = merge_histories(one, other)
    assert both.event_time == max(one.event_time, other.event_time)
    for history in (one, other):
        if history.event_time == both.event_time:
            assert set(history.digests) <= set(both.digests)
            assert history.revision <= both.revision


def make_handover(store: MemoryHandoverStore, outbox: Outbox, key: str = "key") -> Handover:
    return Handover(
        store,
        outbox,
        outbox.restore,
        lambda: key,
        metrics=Metrics(CollectorRegistry()),
        health=Health(lambda: 0.0),
    )


def test_a_handover_carries_everything_from_one_producer_to_the_next(make_outbox: MakeOutbox) -> None:
    store, before, after = MemoryHandoverStore(), make_outbox(), make_outbox()
    accept(before, make_quote(second=1), make_quote("MSFT", second=1))
    assert make_handover(store, before).store() == 2
    assert before.counts().pending == 0
    assert make_handover(store, after).take_over() == 2
    assert store.states == {}
    assert len(pending(after)) == 2


def test_histories_are_handed_over_even_if_nothing_is_pending(make_outbox: MakeOutbox) -> None:
    store, before, after = MemoryHandoverStore(), make_outbox(), make_outbox()
    accept(before, make_quote())
    pending(before)
    make_handover(store, before).store()
    make_handover(store, after).take_over()
    assert accept(after, make_quote()) == 0


def test_rows_stay_in_the_journal_if_the_store_fails(make_outbox: MakeOutbox, monkeypatch: pytest.MonkeyPatch) -> None:
    store, outbox = MemoryHandoverStore(), make_outbox()

    def refuse(*_: object) -> None:
        raise HandoverUnavailable("s3: down")

    monkeypatch.setattr(store, "put", refuse)
    accept(outbox, make_quote())
    with pytest.raises(HandoverUnavailable):
        make_handover(store, outbox).store()
    assert pending(outbox) == [make_quote()]


def test_a_restored_state_that_could_not_be_deleted_is_only_deleted_next_time(
    make_outbox: MakeOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, before, after = MemoryHandoverStore(), make_outbox(), make_outbox()
    accept(before, make_quote())
    make_handover(store, before).store()
    handover = make_handover(store, after)

    def refuse(_: str) -> None:
        raise HandoverUnavailable("s3: down")

    with monkeypatch.context() as patch:
        patch.setattr(store, "delete", refuse)
        handover.take_over()
    assert len(store.states) == 1
    assert handover.take_over() == 0
    assert store.states == {}
    assert pending(after) == [make_quote()]


def test_a_refused_state_stays_in_the_store(make_outbox: MakeOutbox) -> None:
    store, before = MemoryHandoverStore(), make_outbox(lanes=8)
    accept(before, make_quote())
    make_handover(store, before).store()
    assert make_handover(store, make_outbox(lanes=4)).take_over() == 0
    assert len(store.states) == 1


def test_a_state_that_another_producer_took_meanwhile_is_skipped(
    make_outbox: MakeOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryHandoverStore()
    monkeypatch.setattr(store, "waiting", lambda: ["gone"])
    assert make_handover(store, make_outbox()).take_over() == 0
