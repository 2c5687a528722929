from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from producer_service.sources import FetchResult
from producer_service.sources.yahoo.action_schedule import ActionSchedule
from producer_service.sources.yahoo.inactive_symbols import InactiveSymbols
from producer_service.sources.yahoo.source import MAX_BATCH, MAX_IN_FLIGHT, MAX_STALENESS, YahooSource
from yahoo_requests.errors import SourceError
from yahoo_requests.session import HttpResponse

NOW = datetime(2026, 11, 23, 15, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SYMBOLS = tuple(f"S{number}" for number in range(4 * MAX_BATCH))
BATCHES = tuple(SYMBOLS[first : first + MAX_BATCH] for first in range(0, len(SYMBOLS), MAX_BATCH))
SOON = 10.0
"""How many seconds a test waits at most for another thread. It is never that long in a test that passes."""

Respond = Callable[[Sequence[str]], HttpResponse]


def quotes(symbols: Sequence[str], **fields: object) -> HttpResponse:
    time = int(NOW.timestamp()) - 5
    rows = [{"symbol": symbol, "regularMarketPrice": 1.5, "regularMarketTime": time, **fields} for symbol in symbols]
    return HttpResponse(200, json.dumps({"quoteResponse": {"result": rows}}).encode())


def all_but(*dead: str) -> Respond:
    return lambda symbols: quotes([symbol for symbol in symbols if symbol not in dead])


def status(code: int) -> Respond:
    return lambda _: HttpResponse(code, b"")


def status_of(code: int) -> Callable[[], HttpResponse]:
    return lambda: HttpResponse(code, b"")


def timed_out() -> HttpResponse:
    raise SourceError("timeout", "timed out after 5 s")


def broken() -> HttpResponse:
    raise ZeroDivisionError


def timeout(_: Sequence[str]) -> HttpResponse:
    raise SourceError("timeout", "timed out after 5 s")


class FakeClient:
    """Returns the given responses in the order of the requests, and repeats the last one."""

    def __init__(self, *responses: Respond) -> None:
        self.responses = responses
        self.requested: list[tuple[str, ...]] = []
        self.charts: dict[str, Callable[[], HttpResponse]] = {}
        self.charted: list[str] = []
        self.seconds: list[float] = []
        self.stopped = threading.Event()
        self.closed = False
        self.discards = 0
        self._lock = threading.Lock()

    def start_poll(self, seconds: float) -> None:
        self.seconds.append(seconds)

    def get(self, symbols: Sequence[str]) -> HttpResponse:
        with self._lock:
            self.requested.append(tuple(symbols))
            respond = self.responses[min(len(self.requested), len(self.responses)) - 1]
        return respond(symbols)

    def chart(self, symbol: str) -> HttpResponse:
        self.charted.append(symbol)
        return self.charts[symbol]()

    def discard_cookies(self) -> None:
        self.discards += 1

    def stop(self) -> None:
        self.stopped.set()

    def close(self) -> None:
        assert self.stopped.is_set()
        self.closed = True


class Uptime:
    """A monotonic clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.passed = timedelta()

    def __call__(self) -> float:
        return self.passed.total_seconds()


Make = Callable[..., YahooSource]


@pytest.fixture
def uptime() -> Uptime:
    return Uptime()


@pytest.fixture
def make(uptime: Uptime) -> Iterator[Make]:
    """Makes sources. By default they request one batch after another, and their clock is `uptime`."""
    made: list[YahooSource] = []

    def make(client: FakeClient, **options: object) -> YahooSource:
        options = {"max_in_flight": 1, "monotonic": uptime, "jitter": lambda: 0.0} | options
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

    assert [len(requested) for requested in client.requested] == [50, 50, 1]
    assert tuple(quote.symbol for quote in result.quotes) == SYMBOLS[:101]
    assert result.failures == ()
    assert result.paused_until is None
    assert not result.more


def test_without_symbols_nothing_is_requested(make: Make) -> None:
    client = FakeClient(quotes)

    assert make(client).fetch((), NOW).quotes == ()
    assert client.requested == []


def test_quotes_of_concurrent_requests_keep_the_order_of_the_symbols(make: Make) -> None:
    """The first four requests wait for each other, and the very first is answered last."""
    together, others_done = threading.Barrier(MAX_IN_FLIGHT), threading.Event()
    in_flight, most, lock = 0, 0, threading.Lock()
    symbols = tuple(f"S{number}" for number in range(8 * MAX_BATCH))

    def respond(batch: Sequence[str]) -> HttpResponse:
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

    result = make(FakeClient(respond), max_in_flight=99).fetch(symbols, NOW)

    assert tuple(quote.symbol for quote in result.quotes) == symbols
    assert most == MAX_IN_FLIGHT


def test_is_complete_to_the_start_of_the_poll_minus_staleness_and_largest_delay(make: Make) -> None:
    client = FakeClient(lambda symbols: quotes(symbols, exchangeDataDelayedBy=0 if "S0" in symbols else 15))

    result = make(client).fetch(SYMBOLS, NOW)

    assert result.complete_to == NOW.replace(microsecond=123000) - MAX_STALENESS - timedelta(minutes=15)


def test_a_delayed_symbol_that_is_missing_still_holds_back_complete_to(make: Make) -> None:
    source = make(FakeClient(lambda symbols: quotes(symbols, exchangeDataDelayedBy=15), all_but("VOD.L")))

    first = source.fetch(["VOD.L", "AAPL"], NOW).complete_to
    second = source.fetch(["VOD.L", "AAPL"], NOW + timedelta(seconds=10)).complete_to

    assert first is not None
    assert second == first + timedelta(seconds=10)


@pytest.mark.parametrize(
    ("symbol", "answer", "minutes"),
    [
        ("VOD.L", quotes(["VOD.L"]), 20),  # it declares none
        ("VOD.L", quotes(["^GSPC"]), 20),  # it is missing
        ("VOD.L", quotes(["VOD.L"], exchangeDataDelayedBy=0), 0),
        ("600519.SS", quotes(["^GSPC"]), 30),
        ("S0", quotes(["^GSPC"]), 15),
        ("NEW.XYZ", quotes(["^GSPC"]), 30),
    ],
)
def test_r4_a_delay_that_is_not_declared_yet_is_assumed(
    make: Make, symbol: str, answer: HttpResponse, minutes: int
) -> None:
    complete_to = make(FakeClient(lambda _: answer)).fetch([symbol], NOW).complete_to

    assert complete_to == NOW.replace(microsecond=123000) - MAX_STALENESS - timedelta(minutes=minutes)


def test_an_inactive_symbol_that_never_declared_a_delay_does_not_hold_back_complete_to(make: Make) -> None:
    client = FakeClient(lambda symbols: quotes([each for each in symbols if each == "S0"], exchangeDataDelayedBy=0))
    source = make(client, inactive_symbols=InactiveSymbols(min_misses=1, min_days=1))

    first, second = (source.fetch(["S0", "NEVER.XYZ"], NOW).complete_to for _ in range(2))

    assert first == second == NOW.replace(microsecond=123000) - MAX_STALENESS


def test_a_quote_is_received_at_the_time_of_its_response(make: Make) -> None:
    seconds = 100.0

    def respond(symbols: Sequence[str]) -> HttpResponse:
        nonlocal seconds
        seconds += 0.25
        return quotes(symbols)

    result = make(FakeClient(respond), monotonic=lambda: seconds).fetch(SYMBOLS[:51], NOW)

    assert result.quotes[0].ingest_time == NOW.replace(microsecond=373000)
    assert result.quotes[50].ingest_time == NOW.replace(microsecond=623000)


@pytest.mark.parametrize(
    ("code", "reason"), [(429, "rate_limited"), (999, "rate_limited"), (401, "unauthorized"), (403, "unauthorized")]
)
def test_a_refusal_ends_the_poll(make: Make, code: int, reason: str) -> None:
    client = FakeClient(quotes, status(code), quotes)

    result = make(client).fetch(SYMBOLS, NOW)

    assert client.requested == list(BATCHES[:2])
    assert failed(result) == [(reason, batch) for batch in BATCHES[1:]]
    assert len(result.quotes) == MAX_BATCH
    assert result.complete_to is None


def test_after_a_refusal_requests_in_flight_finish_and_no_other_is_sent(make: Make) -> None:
    all_sent, refusal_given = threading.Barrier(MAX_IN_FLIGHT), threading.Event()

    def respond(batch: Sequence[str]) -> HttpResponse:
        all_sent.wait(SOON)
        if batch[0] == "S0":
            refusal_given.set()
            return HttpResponse(429, b"Too Many Requests\r\n")
        assert refusal_given.wait(SOON)
        return quotes(batch)

    symbols = tuple(f"S{number}" for number in range(20 * MAX_BATCH))
    client = FakeClient(respond)

    result = make(client, max_in_flight=4).fetch(symbols, NOW)

    assert len(client.requested) <= MAX_IN_FLIGHT + 3  # sent before the refusal was recorded
    assert {failure.reason for failure in result.failures} == {"rate_limited"}
    assert len(result.quotes) == (len(client.requested) - 1) * MAX_BATCH


def test_one_failed_batch_leaves_the_others_alone(make: Make) -> None:
    result = make(FakeClient(timeout, quotes)).fetch(SYMBOLS, NOW)

    assert failed(result) == [("timeout", BATCHES[0])]
    assert len(result.quotes) == 3 * MAX_BATCH
    assert result.complete_to is None


def test_two_failed_batches_in_a_row_end_the_poll(make: Make) -> None:
    client = FakeClient(status(500), quotes, timeout, status(502), quotes)

    result = make(client).fetch((*SYMBOLS, *BATCHES[0]), NOW)

    assert len(client.requested) == 4
    assert [failure.reason for failure in result.failures] == [
        "server_error",
        "timeout",
        "server_error",
        "server_error",
    ]


def test_the_next_poll_starts_with_the_batches_that_were_not_requested(make: Make) -> None:
    """Otherwise two batches that always fail would keep the others from ever being requested."""
    client = FakeClient(status(500), status(500), quotes)
    source = make(client)

    source.fetch(SYMBOLS, NOW)
    result = source.fetch(SYMBOLS, NOW)
    source.fetch(SYMBOLS, NOW)

    assert client.requested[2:] == [*BATCHES[2:], *BATCHES[:2], *BATCHES]
    assert tuple(quote.symbol for quote in result.quotes) == SYMBOLS


def test_a_page_instead_of_quotes_is_malformed(make: Make) -> None:
    result = make(FakeClient(lambda _: HttpResponse(200, b"<html>"))).fetch(["AAPL"], NOW)

    assert [failure.reason for failure in result.failures] == ["malformed"]
    assert "<html>" in result.failures[0].detail


def test_a_poll_gives_up_on_a_request_that_exceeds_the_time_of_the_poll(make: Make) -> None:
    """Even if the request outlives its own timeout. The clock jumps to the end of the poll when the request is sent."""
    seconds, never = [0.0], threading.Event()

    def hang(batch: Sequence[str]) -> HttpResponse:
        seconds[0] = 100.0
        never.wait(SOON)
        return quotes(batch)

    client = FakeClient(hang)
    source = make(client, monotonic=lambda: seconds[0], poll_seconds=20)

    result = source.fetch(SYMBOLS, NOW)

    assert failed(result) == [("timeout", batch) for batch in BATCHES]
    assert client.seconds == [20]
    never.set()


def test_nothing_is_requested_while_the_breaker_is_open(make: Make, uptime: Uptime) -> None:
    client = FakeClient(status(429), quotes)
    source = make(client)

    refused = source.fetch(SYMBOLS, NOW)
    uptime.passed = MINUTE - timedelta(seconds=1)
    paused = source.fetch(SYMBOLS, NOW + MINUTE - timedelta(seconds=1))

    assert refused.paused_until == NOW + MINUTE
    assert len(client.requested) == 1
    assert paused == FetchResult(paused_until=NOW + MINUTE)


@pytest.mark.parametrize("step", [timedelta(hours=1), -timedelta(hours=1), timedelta(days=90), -timedelta(days=90)])
def test_a_pause_lasts_as_long_if_the_clock_steps(make: Make, uptime: Uptime, step: timedelta) -> None:
    before_every_step = (NOW - timedelta(days=91)).timestamp()
    client = FakeClient(status(429), lambda symbols: quotes(symbols, regularMarketTime=before_every_step))
    source = make(client)
    source.fetch(SYMBOLS[:1], NOW)

    uptime.passed = MINUTE - timedelta(seconds=1)
    assert source.fetch(SYMBOLS[:1], NOW + step).paused_until == NOW + step + timedelta(seconds=1)
    uptime.passed = MINUTE
    assert source.fetch(SYMBOLS[:1], NOW + step).paused_until is None
    assert len(client.requested) == 2


def test_after_the_pause_one_batch_is_requested_before_the_others(make: Make, uptime: Uptime) -> None:
    others_may_go = threading.Event()

    def respond(batch: Sequence[str]) -> HttpResponse:
        if len(client.requested) == 2:  # the probe
            others_may_go.set()
        assert others_may_go.is_set()
        return quotes(batch)

    client = FakeClient(status(429), respond)
    source = make(client, max_in_flight=4)
    source.fetch(BATCHES[0], NOW)

    uptime.passed = MINUTE
    result = source.fetch(SYMBOLS, NOW + MINUTE)

    assert result.paused_until is None
    assert tuple(quote.symbol for quote in result.quotes) == SYMBOLS


def test_a_failed_probe_is_the_only_request_and_doubles_the_pause(make: Make, uptime: Uptime) -> None:
    client = FakeClient(status(429), timeout)
    source = make(client, max_in_flight=4)
    source.fetch(BATCHES[0], NOW)

    uptime.passed = MINUTE
    result = source.fetch(SYMBOLS, NOW + MINUTE)

    assert len(client.requested) == 2
    assert result.paused_until == NOW + 3 * MINUTE
    assert [symbol for failure in result.failures for symbol in failure.symbols] == list(SYMBOLS)


def test_wholly_failed_polls_open_the_breaker_and_partly_failed_ones_do_not(make: Make) -> None:
    whole, part = make(FakeClient(timeout)), make(FakeClient(*(timeout, quotes) * 5))

    assert [whole.fetch(SYMBOLS, NOW).paused_until for _ in range(3)] == [None, None, NOW + MINUTE]
    assert [part.fetch(SYMBOLS[:60], NOW).paused_until for _ in range(5)] == [None] * 5


@pytest.mark.parametrize(("responses", "polls"), [((status(401),), 2), ((timeout,), 3), ((status(429),), 1)])
def test_cookies_are_discarded_when_the_breaker_opens_but_not_for_too_many_requests(
    make: Make, responses: tuple[Respond, ...], polls: int
) -> None:
    client = FakeClient(*responses)
    source = make(client)

    discards = []
    for _ in range(polls):
        source.fetch(BATCHES[0], NOW)
        discards.append(client.discards)

    assert discards == [0] * (polls - 1) + [int(polls > 1)]


def test_two_unauthorized_polls_open_the_breaker(make: Make) -> None:
    source = make(FakeClient(status(401)))

    assert [source.fetch(SYMBOLS, NOW).paused_until for _ in range(2)] == [None, NOW + MINUTE]


def test_a_dead_symbol_becomes_inactive_is_retried_daily_and_active_again_with_its_first_price(
    make: Make, uptime: Uptime
) -> None:
    client = FakeClient(all_but("S1"))
    source = make(client, inactive_symbols=InactiveSymbols(min_misses=3, min_days=2))
    times = [NOW, NOW + MINUTE, NOW + timedelta(days=1), NOW + timedelta(days=1, hours=1), NOW + timedelta(days=2)]

    def fetch(now: datetime) -> FetchResult:
        uptime.passed = now - NOW
        return source.fetch(SYMBOLS[:3], now)

    results = [fetch(now) for now in times]

    assert [result.missing for result in results] == [("S1",), ("S1",), ("S1",), (), ("S1",)]
    assert [result.inactive for result in results] == [(), (), ("S1",), ("S1",), ("S1",)]
    assert ["S1" in requested for requested in client.requested] == [True, True, True, False, True]
    assert not any(result.failures for result in results)
    assert results[3].complete_to is not None

    client.responses = (quotes,)
    back = fetch(NOW + timedelta(days=3))
    assert [quote.symbol for quote in back.quotes] == ["S0", "S1", "S2"]
    assert back.inactive == back.missing == ()


def test_a_failed_batch_does_not_count_as_a_miss(make: Make) -> None:
    source = make(FakeClient(status(404)), inactive_symbols=InactiveSymbols(min_misses=1, min_days=1))

    assert source.fetch(SYMBOLS[:3], NOW).inactive == ()


def split_chart(symbol: str, *, in_seconds: int = -60) -> Callable[[], HttpResponse]:
    split = {"date": int(NOW.timestamp()) + in_seconds, "numerator": 31, "denominator": 1000}
    chart = {"meta": {"symbol": symbol}, "events": {"splits": {"1": split}}}
    return lambda: HttpResponse(200, json.dumps({"chart": {"result": [chart]}}).encode())


def shares(symbols: Sequence[str]) -> HttpResponse:
    return quotes(symbols, quoteType="EQUITY")


class ActionBench:
    """A source that may ask for actions at once and without limit, with its clock and the end of its requests."""

    def __init__(self, make: Make, client: FakeClient) -> None:
        self.seconds = 0.0
        schedule = ActionSchedule(per_second=1000, burst=1000, start_seconds=0)
        self.source = make(client, monotonic=lambda: self.seconds, action_schedule=schedule)

    def fetch(self, *symbols: str) -> FetchResult:
        """The result of a poll. The requests that it starts have ended when this returns."""
        result = self.source.fetch(symbols, NOW + timedelta(seconds=self.seconds))
        running = self.source._actions._running
        if running is not None:
            running.result(SOON)
        self.seconds += 10
        return result


def test_actions_are_requested_after_a_poll_and_delivered_with_the_next(make: Make) -> None:
    client = FakeClient(shares)
    client.charts = {symbol: split_chart(symbol) for symbol in ("S0", "S1")}
    bench = ActionBench(make, client)

    first, second, third = (bench.fetch("S0", "S1") for _ in range(3))

    assert (first.actions, third.actions) == ((), ())
    assert [(each.symbol, each.numerator, each.denominator) for each in second.actions] == [
        ("S0", 31, 1000),
        ("S1", 31, 1000),
    ]
    assert client.charted == ["S0", "S1"]
    assert all(result.complete_to is not None for result in (first, second, third))


@pytest.mark.parametrize("kind", ["CRYPTOCURRENCY", "CURRENCY", "FUTURE", "INDEX", None])
def test_symbols_that_have_no_actions_are_not_asked(make: Make, kind: str | None) -> None:
    client = FakeClient(lambda symbols: quotes(symbols, quoteType=kind))
    bench = ActionBench(make, client)

    bench.fetch("S0")

    assert client.charted == []


@pytest.mark.parametrize(
    ("chart", "asked"),
    [
        (status_of(404), ["S0", "S1"]),
        (lambda: HttpResponse(200, b"<html>"), ["S0", "S1"]),
        (status_of(500), ["S0"]),
        (status_of(403), ["S0"]),
        (timed_out, ["S0"]),
        (broken, ["S0", "S1"]),
    ],
    ids=["404", "page", "500", "403", "timeout", "a mistake of ours"],
)
def test_a_failure_of_actions_is_none_of_the_poll_and_is_tried_again_an_hour_later(
    make: Make, chart: Callable[[], HttpResponse], asked: list[str]
) -> None:
    client = FakeClient(shares)
    client.charts = {"S0": chart, "S1": chart}
    bench = ActionBench(make, client)

    results = [bench.fetch("S0", "S1") for _ in range(3)]
    assert client.charted[: len(asked)] == asked
    asked_before = len(client.charted)

    client.charts = {symbol: split_chart(symbol) for symbol in ("S0", "S1")}
    bench.seconds += 3_700
    results += [bench.fetch("S0", "S1") for _ in range(2)]

    assert {*client.charted[asked_before:]} == {"S0", "S1"}
    assert {action.symbol for action in results[-1].actions} == {"S0", "S1"}
    for result in results:
        assert (result.failures, result.paused_until) == ((), None)
        assert result.complete_to is not None


def test_too_many_requests_for_actions_pause_the_source(make: Make) -> None:
    client = FakeClient(shares)
    client.charts = {"S0": status_of(429)}
    bench = ActionBench(make, client)

    bench.fetch("S0", "S1")
    paused = bench.fetch("S0", "S1")

    assert paused.paused_until == NOW + MINUTE + timedelta(seconds=10)
    assert paused.quotes == ()
    assert len(client.requested) == 1
    assert client.charted == ["S0"]


def test_too_many_requests_for_actions_during_a_pause_do_not_lengthen_it(make: Make, uptime: Uptime) -> None:
    """The request for actions of the first poll is refused after the quotes of the second."""
    refused = threading.Event()

    def refuse_late() -> HttpResponse:
        assert refused.wait(SOON)
        return HttpResponse(429, b"")

    client = FakeClient(shares, status(429))
    client.charts = {"S0": refuse_late}
    source = make(client, action_schedule=ActionSchedule(per_second=1000, burst=1000, start_seconds=0))
    source.fetch(["S0"], NOW)
    assert source.fetch(["S0"], NOW).paused_until == NOW + MINUTE
    refused.set()
    running = source._actions._running
    assert running is not None
    running.result(SOON)
    uptime.passed = MINUTE / 2

    assert source.fetch(["S0"], NOW + MINUTE / 2).paused_until == NOW + MINUTE


def test_a_poll_with_a_failure_asks_for_no_actions(make: Make) -> None:
    client = FakeClient(shares, timeout)
    bench = ActionBench(make, client)

    assert bench.fetch(*SYMBOLS[: 2 * MAX_BATCH]).failures != ()
    assert client.charted == []


def test_a_slow_request_for_actions_delays_no_poll_and_is_the_only_one(make: Make) -> None:
    asked, answer = threading.Event(), threading.Event()

    def slow() -> HttpResponse:
        asked.set()
        assert answer.wait(SOON)
        return split_chart("S0")()

    client = FakeClient(shares)
    client.charts = {"S0": slow, "S1": slow}
    schedule = ActionSchedule(per_second=1000, burst=1000, start_seconds=0)
    source = make(client, action_schedule=schedule)
    source.fetch(["S0"], NOW)
    assert asked.wait(SOON)

    assert len(source.fetch(["S0", "S1"], NOW).quotes) == 2

    assert client.charted == ["S0"]
    answer.set()


def test_an_action_in_the_future_is_rejected_and_asked_for_when_it_takes_effect(make: Make) -> None:
    client = FakeClient(shares)
    client.charts = {"S0": split_chart("S0", in_seconds=600)}
    bench = ActionBench(make, client)

    rejected = [bench.fetch("S0") for _ in range(2)][-1]
    assert [each.symbol for each in rejected.rejected_actions] == ["S0"]
    assert rejected.actions == ()

    bench.seconds = 610
    assert [bench.fetch("S0") for _ in range(2)][-1].actions != ()
    assert client.charted == ["S0", "S0"]


def test_closing_ends_a_fetch_in_progress(make: Make) -> None:
    requested, never = threading.Event(), threading.Event()

    def hang(batch: Sequence[str]) -> HttpResponse:
        requested.set()
        never.wait(SOON)
        return quotes(batch)

    client = FakeClient(hang)
    source = make(client)
    results: list[FetchResult] = []
    fetching = threading.Thread(target=lambda: results.append(source.fetch(SYMBOLS, NOW)))
    fetching.start()
    assert requested.wait(SOON)

    source.close()

    fetching.join(SOON)
    never.set()
    assert failed(results[0]) == [("stopped", batch) for batch in BATCHES]
    assert len(client.requested) == 1
    assert client.closed


def test_a_closed_source_requests_nothing(make: Make) -> None:
    client = FakeClient(quotes)
    source = make(client)
    source.close()
    source.close()

    result = source.fetch(SYMBOLS, NOW)

    assert client.requested == []
    assert {failure.reason for failure in result.failures} == {"stopped"}
    assert result.paused_until is None
