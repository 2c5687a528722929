from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from producer_service.sources import FetchResult
from producer_service.sources.yahoo.inactive_symbols import Absences
from producer_service.sources.yahoo.request_limiter import Trouble
from producer_service.sources.yahoo.session import Reply
from producer_service.sources.yahoo.source import MAX_BATCH, MAX_IN_FLIGHT, MAX_STALENESS, YahooSource

NOW = datetime(2026, 11, 23, 15, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SYMBOLS = tuple(f"S{number}" for number in range(4 * MAX_BATCH))
BATCHES = tuple(SYMBOLS[first : first + MAX_BATCH] for first in range(0, len(SYMBOLS), MAX_BATCH))
SOON = 10.0
"""Seconds within which what must happen does, on any machine."""

Answer = Callable[[Sequence[str]], Reply]


def quotes(symbols: Sequence[str], **fields: object) -> Reply:
    time = int(NOW.timestamp()) - 5
    rows = [{"symbol": symbol, "regularMarketPrice": 1.5, "regularMarketTime": time, **fields} for symbol in symbols]
    return Reply(200, json.dumps({"quoteResponse": {"result": rows}}).encode())


def all_but(*dead: str) -> Answer:
    return lambda symbols: quotes([symbol for symbol in symbols if symbol not in dead])


def status(code: int) -> Answer:
    return lambda _: Reply(code, b"")


def timeout(_: Sequence[str]) -> Reply:
    raise Trouble("timeout", "timed out after 5 s")


class FakeClient:
    """Gives the answers it was made with, in the order of the requests, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = answers
        self.asked: list[tuple[str, ...]] = []
        self.seconds: list[float] = []
        self.stopped = threading.Event()
        self.closed = False
        self._lock = threading.Lock()

    def begin(self, seconds: float) -> None:
        self.seconds.append(seconds)

    def get(self, symbols: Sequence[str]) -> Reply:
        with self._lock:
            self.asked.append(tuple(symbols))
            answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        return answer(symbols)

    def stop(self) -> None:
        self.stopped.set()

    def close(self) -> None:
        assert self.stopped.is_set()
        self.closed = True


Make = Callable[..., YahooSource]


@pytest.fixture
def make() -> Iterator[Make]:
    """Sources that ask one batch after the other, unless told otherwise, in a time that stands still."""
    made: list[YahooSource] = []

    def make(client: FakeClient, **options: object) -> YahooSource:
        options = {"max_in_flight": 1, "monotonic": lambda: 0.0, "jitter": lambda: 0.0} | options
        made.append(YahooSource(client=client, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for source in made:
        source.close()


def failed(result: FetchResult) -> list[tuple[str, tuple[str, ...]]]:
    return [(failure.reason, failure.symbols) for failure in result.failures]


def test_a_poll_is_one_request_for_fifty_symbols(make: Make) -> None:
    client = FakeClient(quotes)

    result = make(client).fetch(SYMBOLS[:101], NOW)

    assert [len(asked) for asked in client.asked] == [50, 50, 1]
    assert tuple(quote.symbol for quote in result.quotes) == SYMBOLS[:101]
    assert result.failures == ()
    assert result.paused_until is None
    assert not result.more


def test_no_symbols_are_no_request(make: Make) -> None:
    client = FakeClient(quotes)

    assert make(client).fetch((), NOW).quotes == ()
    assert client.asked == []


def test_a_few_requests_are_in_flight_and_their_quotes_in_the_order_asked(make: Make) -> None:
    """The first four wait for one another; the first of all is answered last."""
    together, others_done = threading.Barrier(MAX_IN_FLIGHT), threading.Event()
    in_flight, most, lock = 0, 0, threading.Lock()
    symbols = tuple(f"S{number}" for number in range(8 * MAX_BATCH))

    def answer(batch: Sequence[str]) -> Reply:
        nonlocal in_flight, most
        with lock:
            in_flight += 1
            most = max(most, in_flight)
        if batch[0] in symbols[: MAX_IN_FLIGHT * MAX_BATCH : MAX_BATCH]:
            together.wait(SOON)
        if batch[0] == symbols[0]:
            assert others_done.wait(SOON)
        if batch[0] == symbols[-MAX_BATCH]:
            others_done.set()
        with lock:
            in_flight -= 1
        return quotes(batch)

    result = make(FakeClient(answer), max_in_flight=99).fetch(symbols, NOW)

    assert tuple(quote.symbol for quote in result.quotes) == symbols
    assert most == MAX_IN_FLIGHT


def test_is_complete_to_the_start_of_the_poll_less_staleness_and_the_largest_delay(make: Make) -> None:
    client = FakeClient(lambda symbols: quotes(symbols, exchangeDataDelayedBy=0 if "S0" in symbols else 15))

    result = make(client).fetch(SYMBOLS, NOW)

    assert result.complete_to == NOW.replace(microsecond=123000) - MAX_STALENESS - timedelta(minutes=15)


def test_a_delayed_symbol_that_is_missing_once_still_holds_back_what_is_complete(make: Make) -> None:
    answers = iter([quotes(["VOD.L"], exchangeDataDelayedBy=15), quotes([])])
    source = make(FakeClient(lambda _: next(answers)))

    first = source.fetch(["VOD.L"], NOW).complete_to
    second = source.fetch(["VOD.L"], NOW + timedelta(seconds=10)).complete_to

    assert first is not None
    assert second == first + timedelta(seconds=10)


def test_a_quote_is_received_when_its_batch_was_answered(make: Make) -> None:
    seconds = 100.0

    def answer(symbols: Sequence[str]) -> Reply:
        nonlocal seconds
        seconds += 0.25
        return quotes(symbols)

    result = make(FakeClient(answer), monotonic=lambda: seconds).fetch(SYMBOLS[:51], NOW)

    assert result.quotes[0].ingest_time == NOW.replace(microsecond=373000)
    assert result.quotes[50].ingest_time == NOW.replace(microsecond=623000)


@pytest.mark.parametrize(
    ("code", "reason"), [(429, "rate_limited"), (999, "rate_limited"), (401, "unauthorized"), (403, "unauthorized")]
)
def test_a_refusal_ends_the_poll(make: Make, code: int, reason: str) -> None:
    client = FakeClient(quotes, status(code), quotes)

    result = make(client).fetch(SYMBOLS, NOW)

    assert client.asked == list(BATCHES[:2])
    assert failed(result) == [(reason, batch) for batch in BATCHES[1:]]
    assert len(result.quotes) == MAX_BATCH
    assert result.complete_to is None


def test_after_a_refusal_those_in_flight_are_heard_and_no_other_is_asked(make: Make) -> None:
    all_asked, refusal_given = threading.Barrier(MAX_IN_FLIGHT), threading.Event()

    def answer(batch: Sequence[str]) -> Reply:
        all_asked.wait(SOON)
        if batch[0] == "S0":
            refusal_given.set()
            return Reply(429, b"Too Many Requests\r\n")
        assert refusal_given.wait(SOON)
        return quotes(batch)

    symbols = tuple(f"S{number}" for number in range(20 * MAX_BATCH))
    client = FakeClient(answer)

    result = make(client, max_in_flight=4).fetch(symbols, NOW)

    assert len(client.asked) <= MAX_IN_FLIGHT + 3  # those that were answered before the refusal was heard
    assert {failure.reason for failure in result.failures} == {"rate_limited"}
    assert len(result.quotes) == (len(client.asked) - 1) * MAX_BATCH


def test_one_failed_batch_leaves_the_others_alone(make: Make) -> None:
    result = make(FakeClient(timeout, quotes)).fetch(SYMBOLS, NOW)

    assert failed(result) == [("timeout", BATCHES[0])]
    assert len(result.quotes) == 3 * MAX_BATCH
    assert result.complete_to is None


def test_two_failed_batches_in_a_row_end_the_poll(make: Make) -> None:
    client = FakeClient(status(500), quotes, timeout, status(502), quotes)

    result = make(client).fetch((*SYMBOLS, *BATCHES[0]), NOW)

    assert len(client.asked) == 4
    assert [failure.reason for failure in result.failures] == [
        "server_error",
        "timeout",
        "server_error",
        "server_error",
    ]


def test_the_next_poll_begins_with_what_this_one_did_not_come_to(make: Make) -> None:
    """Or two batches that always fail would keep the others from being asked for ever."""
    client = FakeClient(status(500), status(500), quotes)
    source = make(client)

    source.fetch(SYMBOLS, NOW)
    result = source.fetch(SYMBOLS, NOW)
    source.fetch(SYMBOLS, NOW)

    assert client.asked[2:] == [*BATCHES[2:], *BATCHES[:2], *BATCHES]
    assert tuple(quote.symbol for quote in result.quotes) == SYMBOLS


def test_a_page_in_place_of_quotes_is_malformed(make: Make) -> None:
    result = make(FakeClient(lambda _: Reply(200, b"<html>"))).fetch(["AAPL"], NOW)

    assert [failure.reason for failure in result.failures] == ["malformed"]
    assert "<html>" in result.failures[0].detail


def test_a_poll_waits_for_its_requests_so_long_and_no_longer(make: Make) -> None:
    """Should one outlive its own timeout: the time of this poll is up when it is asked."""
    seconds, never = [0.0], threading.Event()

    def hang(batch: Sequence[str]) -> Reply:
        seconds[0] = 100.0
        never.wait(SOON)
        return quotes(batch)

    client = FakeClient(hang)
    source = make(client, monotonic=lambda: seconds[0], poll_seconds=20)

    result = source.fetch(SYMBOLS, NOW)

    assert failed(result) == [("timeout", batch) for batch in BATCHES]
    assert client.seconds == [20]
    never.set()


def test_nothing_is_asked_while_the_breaker_is_open(make: Make) -> None:
    client = FakeClient(status(429), quotes)
    source = make(client)

    refused = source.fetch(SYMBOLS, NOW)
    paused = source.fetch(SYMBOLS, NOW + MINUTE - timedelta(seconds=1))

    assert refused.paused_until == NOW + MINUTE
    assert len(client.asked) == 1
    assert paused == FetchResult(paused_until=NOW + MINUTE)


def test_after_the_pause_one_batch_is_tried_before_the_others(make: Make) -> None:
    others_may_go = threading.Event()

    def answer(batch: Sequence[str]) -> Reply:
        if len(client.asked) == 2:  # the try
            others_may_go.set()
        assert others_may_go.is_set()
        return quotes(batch)

    client = FakeClient(status(429), answer)
    source = make(client, max_in_flight=4)
    source.fetch(BATCHES[0], NOW)

    result = source.fetch(SYMBOLS, NOW + MINUTE)

    assert result.paused_until is None
    assert tuple(quote.symbol for quote in result.quotes) == SYMBOLS


def test_a_try_that_fails_was_the_only_request_and_doubles_the_pause(make: Make) -> None:
    client = FakeClient(status(429), timeout)
    source = make(client, max_in_flight=4)
    source.fetch(BATCHES[0], NOW)

    result = source.fetch(SYMBOLS, NOW + MINUTE)

    assert len(client.asked) == 2
    assert result.paused_until == NOW + 3 * MINUTE
    assert [symbol for failure in result.failures for symbol in failure.symbols] == list(SYMBOLS)


def test_polls_that_fail_wholly_open_the_breaker_and_one_that_fails_in_part_does_not(make: Make) -> None:
    whole, part = make(FakeClient(timeout)), make(FakeClient(*(timeout, quotes) * 5))

    assert [whole.fetch(SYMBOLS, NOW).paused_until for _ in range(3)] == [None, None, NOW + MINUTE]
    assert [part.fetch(SYMBOLS[:60], NOW).paused_until for _ in range(5)] == [None] * 5


def test_two_unauthorized_polls_open_the_breaker(make: Make) -> None:
    source = make(FakeClient(status(401)))

    assert [source.fetch(SYMBOLS, NOW).paused_until for _ in range(2)] == [None, NOW + MINUTE]


def test_a_dead_symbol_is_set_aside_tried_daily_and_back_with_its_first_price(make: Make) -> None:
    client = FakeClient(all_but("S1"))
    source = make(client, absences=Absences(misses=3, days=2))
    times = [NOW, NOW + MINUTE, NOW + timedelta(days=1), NOW + timedelta(days=1, hours=1), NOW + timedelta(days=2)]

    results = [source.fetch(SYMBOLS[:3], now) for now in times]

    assert [result.missing for result in results] == [("S1",), ("S1",), ("S1",), (), ("S1",)]
    assert [result.set_aside for result in results] == [(), (), ("S1",), ("S1",), ("S1",)]
    assert ["S1" in asked for asked in client.asked] == [True, True, True, False, True]
    assert not any(result.failures for result in results)
    assert results[3].complete_to is not None

    client.answers = (quotes,)
    back = source.fetch(SYMBOLS[:3], NOW + timedelta(days=3))
    assert [quote.symbol for quote in back.quotes] == ["S0", "S1", "S2"]
    assert back.set_aside == back.missing == ()


def test_a_failed_batch_is_no_miss(make: Make) -> None:
    source = make(FakeClient(status(404)), absences=Absences(misses=1, days=1))

    assert source.fetch(SYMBOLS[:3], NOW).set_aside == ()


def test_closing_ends_a_fetch_under_way(make: Make) -> None:
    asked, never = threading.Event(), threading.Event()

    def hang(batch: Sequence[str]) -> Reply:
        asked.set()
        never.wait(SOON)
        return quotes(batch)

    client = FakeClient(hang)
    source = make(client)
    results: list[FetchResult] = []
    fetching = threading.Thread(target=lambda: results.append(source.fetch(SYMBOLS, NOW)))
    fetching.start()
    assert asked.wait(SOON)

    source.close()

    fetching.join(SOON)
    never.set()
    assert failed(results[0]) == [("stopped", batch) for batch in BATCHES]
    assert len(client.asked) == 1
    assert client.closed


def test_a_closed_source_asks_nothing(make: Make) -> None:
    client = FakeClient(quotes)
    source = make(client)
    source.close()
    source.close()

    result = source.fetch(SYMBOLS, NOW)

    assert client.asked == []
    assert {failure.reason for failure in result.failures} == {"stopped"}
    assert result.paused_until is None
