"""The state that a stopped producer stores, and that the next one restores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog.testing
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from producer_service.deduplication import SymbolHistory, deduplicate, merge_histories
from producer_service.errors import HandoverUnavailable, JournalError
from producer_service.handover import Handover
from producer_service.handover_store import UndeliveredState, problem_of
from producer_service.health import Health
from producer_service.journal import Journal
from producer_service.metrics import Metrics
from producer_service.outbox import Outbox
from producer_service.packing import Row
from quotes import Heartbeat, Quote, decode, encode_line, lane_of
from tests.fakes.fault import ERRORS, Fault
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
            assert set(history.contents) <= set(both.contents)
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


def test_a_state_for_other_lanes_stays_in_the_store_and_holds_no_other_up(make_outbox: MakeOutbox) -> None:
    store, before, after = MemoryHandoverStore(), make_outbox(lanes=8), make_outbox(lanes=4)
    accept(before, make_quote(second=1))
    make_handover(store, before, "1").store()
    leave(store, make_outbox(lanes=4), make_quote(second=2), key="2")
    assert make_handover(store, after).take_over() == 1
    assert store.states.keys() == {"1"}
    assert store.refused == {}


def leave(store: MemoryHandoverStore, outbox: Outbox, *quotes: Quote, key: str) -> UndeliveredState:
    accept(outbox, *quotes)
    state = outbox.undelivered()
    store.states[key] = state
    return state


AAPL, MSFT = (lane_of(symbol, 4) for symbol in ("AAPL", "MSFT"))
LINE = encode_line(make_quote())
KEY = f"lane-{AAPL:02d}-of-04"
HEARTBEAT = encode_line(Heartbeat(lane=KEY, clock=OPEN, complete_to=None))
GOOD = Row(1, AAPL, LINE + HEARTBEAT, 1, 1.0)
HISTORY = SymbolHistory(OPEN, 0, (b"12345678",))
UNUSABLE_ROWS = {
    "lane 77": replace(GOOD, lane=77),
    "a lane below 0": replace(GOOD, lane=-1),
    "a line of another lane": replace(GOOD, lane=MSFT),
    "a heartbeat of another lane": replace(GOOD, lines=HEARTBEAT.replace(KEY.encode(), b"lane-99-of-04"), quotes=0),
    "no lines": replace(GOOD, lines=b"", quotes=0),
    "rubbish": replace(GOOD, lines=b"rubbish\n"),
    "no UTF-8": replace(GOOD, lines=LINE.replace(b"AAPL", b"AA\xffL")),
    "an empty line": replace(GOOD, lines=LINE + b"\n"),
    "a line that is cut off": replace(GOOD, lines=LINE[:-1]),
    "a line of a newer version": replace(GOOD, lines=LINE.replace(b'"v":1', b'"v":99')),
    "another number of quotes": replace(GOOD, quotes=7),
    "more than a record": replace(GOOD, lines=LINE * 10_000, quotes=10_000),
    "a time that is no number": replace(GOOD, accepted_at=float("nan")),
    "an endless time": replace(GOOD, available_at=(float("inf"),)),
}
UNUSABLE_HISTORIES = {
    "no symbol": {"A B": HISTORY},
    "a time without a zone": {"AAPL": replace(HISTORY, event_time=OPEN.replace(tzinfo=None))},
    "a negative revision": {"AAPL": replace(HISTORY, revision=-1)},
    "a huge revision": {"AAPL": replace(HISTORY, revision=2**63)},
    "a short digest": {"AAPL": replace(HISTORY, contents=(b"1",))},
    "too many digests": {"AAPL": replace(HISTORY, contents=(b"12345678",) * 65)},
}
UNUSABLE = {
    **{name: UndeliveredState(4, (GOOD, row), {"AAPL": HISTORY}) for name, row in UNUSABLE_ROWS.items()},
    **{name: UndeliveredState(4, (GOOD,), histories) for name, histories in UNUSABLE_HISTORIES.items()},
}


def test_a_state_that_can_be_used_has_no_problem() -> None:
    assert problem_of(UndeliveredState(4, (GOOD,), {"AAPL": HISTORY})) is None


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_state_that_cannot_be_used_is_set_aside_and_nothing_of_it_is_accepted(
    make_outbox: MakeOutbox, name: str
) -> None:
    store, after = MemoryHandoverStore(), make_outbox()
    store.states["1-bad"] = UNUSABLE[name]
    leave(store, make_outbox(), make_quote(second=2), key="2-good")
    handover = make_handover(store, after)
    with structlog.testing.capture_logs() as logs:
        assert handover.take_over() == 1
        handover.take_over()
    assert pending(after) == [make_quote(second=2)]
    assert store.states == {}
    assert store.refused.keys() == {"1-bad"}
    [line] = [line for line in logs if line["event"] == "undelivered_state_refused"]
    assert line["reason"] == store.refused["1-bad"]


@pytest.mark.parametrize("error", [KeyError("x"), MemoryError(), RecursionError(), OverflowError()], ids=repr)
def test_a_state_that_breaks_its_checks_is_set_aside(
    make_outbox: MakeOutbox, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(_: UndeliveredState) -> str:
        raise error

    monkeypatch.setattr("producer_service.handover.problem_of", fail)
    store = MemoryHandoverStore()
    leave(store, make_outbox(), make_quote(), key="1")
    assert make_handover(store, make_outbox()).take_over() == 0
    assert store.refused["1"].startswith(type(error).__name__)


def test_a_state_that_cannot_be_set_aside_is_skipped_and_told_once(
    make_outbox: MakeOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, after = MemoryHandoverStore(), make_outbox()
    leave(store, make_outbox(), make_quote(second=2), key="2-good")
    store.states["1-bad"] = UNUSABLE["lane 77"]
    reads: list[str] = []

    def get(key: str) -> UndeliveredState | None:
        reads.append(key)
        return store.states.get(key)

    def deny(*_: object) -> None:
        raise HandoverUnavailable("AccessDenied")

    monkeypatch.setattr(store, "get", get)
    monkeypatch.setattr(store, "set_aside", deny)
    handover = make_handover(store, after)
    with structlog.testing.capture_logs() as logs:
        assert handover.take_over() == 1
        handover.take_over()
    assert reads == ["1-bad", "2-good"]
    assert store.states.keys() == {"1-bad"}
    assert [line["event"] for line in logs].count("undelivered_state_refused") == 1


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("call", ["waiting", "get", "delete", "set_aside"])
def test_a_store_that_raises_anything_is_asked_again(make_outbox: MakeOutbox, call: str, error: str) -> None:
    store, after = MemoryHandoverStore(), make_outbox()
    store.states["1-bad"] = UNUSABLE["lane 77"]
    leave(store, make_outbox(), make_quote(second=2), key="2-good")
    fault = Fault(store, call, ERRORS[error])
    handover = make_handover(store, after)
    with structlog.testing.capture_logs() as logs:
        handover.take_over()
        handover.take_over()
        fault.is_on = False
        handover.take_over()
    assert fault.calls == 2
    assert store.states == {}
    assert [quote.event_time.second for quote in pending(after) if isinstance(quote, Quote)] == [2]
    assert [line["event"] for line in logs].count("handover_unavailable") == 1


def test_a_state_that_another_producer_took_meanwhile_is_skipped(
    make_outbox: MakeOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryHandoverStore()
    monkeypatch.setattr(store, "waiting", lambda: ["gone"])
    assert make_handover(store, make_outbox()).take_over() == 0
