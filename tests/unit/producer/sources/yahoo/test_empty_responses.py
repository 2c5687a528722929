"""HTTP 200 without a quote: a failure of Yahoo, unless the symbols have no price."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer_service.sources.yahoo.empty_responses import REFERENCE, LastAnswers, with_reference
from producer_service.sources.yahoo.source import MAX_BATCH, YahooSource
from tests.support.sizes import sized
from yahoo_requests.breaker import BreakerPolicy
from yahoo_requests.session import HttpResponse

NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
NEVER_PAUSES = BreakerPolicy(unauthorized_threshold=10**6, failure_threshold=10**6)
SYMBOLS = tuple(f"S{number}" for number in range(60))


def row(symbol: str, price: object = 1.5) -> dict[str, object]:
    return {"symbol": symbol, "regularMarketPrice": price, "regularMarketTime": int(NOW.timestamp()) - 5}


def response(rows: Sequence[dict[str, object]]) -> HttpResponse:
    return HttpResponse(200, json.dumps({"quoteResponse": {"result": rows, "error": None}}).encode())


Outage = Callable[[Sequence[str]], HttpResponse]


class Market:
    """A client whose Yahoo has a price for each symbol that is not dead, and may answer without any quote."""

    def __init__(self, *dead: str) -> None:
        self.dead = {*dead}
        self.outage: Outage | None = None
        self.requested: list[tuple[str, ...]] = []

    def get(self, symbols: Sequence[str]) -> HttpResponse:
        self.requested.append(tuple(symbols))
        if self.outage is not None:
            return self.outage(symbols)
        return response([row(symbol) for symbol in symbols if symbol not in self.dead])

    def chart(self, symbol: str) -> HttpResponse:
        raise AssertionError(f"nothing here has actions, not even {symbol}")

    def start_poll(self, seconds: float) -> None:
        pass

    def discard_cookies(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


OUTAGES: dict[str, Outage] = {
    "an empty list": lambda _: response([]),
    "rows of other symbols": lambda _: response([row("XXXX"), row("YYYY")]),
    "rows without a price": lambda symbols: response([{"symbol": symbol, "quoteType": "EQUITY"} for symbol in symbols]),
    "prices of null": lambda symbols: response([row(symbol, None) for symbol in symbols]),
    "prices of 0": lambda symbols: response([row(symbol, 0) for symbol in symbols]),
    "prices of texts": lambda symbols: response([row(symbol, "1.5") for symbol in symbols]),
    "rows without a symbol": lambda symbols: response([{"regularMarketPrice": 1.5} for _ in symbols]),
    "an empty list and an error": lambda _: HttpResponse(
        200, b'{"quoteResponse":{"result":[],"error":{"code":"Internal","description":"try again"}}}'
    ),
    "an empty object": lambda _: HttpResponse(200, b"{}"),
    "nothing": lambda _: HttpResponse(200, b""),
}


@pytest.fixture
def market() -> Market:
    return Market()


@pytest.fixture
def seconds() -> list[float]:
    return [0.0]


@pytest.fixture
def source(market: Market, seconds: list[float]) -> Iterator[YahooSource]:
    with closing(make_source(market, seconds)) as source:
        yield source


def make_source(market: Market, seconds: list[float], policy: BreakerPolicy = NEVER_PAUSES) -> YahooSource:
    return YahooSource(client=market, max_in_flight=1, monotonic=lambda: seconds[0], breaker_policy=policy)


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
@pytest.mark.parametrize("symbols", [SYMBOLS[:1], SYMBOLS[:2], SYMBOLS[:50], SYMBOLS], ids=len)
@pytest.mark.parametrize("polls_before", [0, 1])
def test_a_response_without_a_quote_is_a_failure_and_claims_nothing(
    source: YahooSource,
    market: Market,
    symbols: tuple[str, ...],
    polls_before: int,
    outage: Callable[..., HttpResponse],
) -> None:
    for _ in range(polls_before):
        assert source.fetch(symbols, NOW).complete_to is not None
    market.outage = outage

    result = source.fetch(symbols, NOW)

    assert {failure.reason for failure in result.failures} == {"malformed"}
    assert [symbol for failure in result.failures for symbol in failure.symbols] == list(symbols)
    assert result.complete_to is None
    assert [len(each) for each in (result.quotes, result.rejected, result.missing)] == [0, 0, 0]

    market.outage = None
    assert source.fetch(symbols, NOW).complete_to is not None


def test_empty_responses_open_the_breaker(market: Market, seconds: list[float]) -> None:
    market.outage = OUTAGES["an empty list"]
    with closing(make_source(market, seconds, BreakerPolicy())) as source:
        assert [source.fetch(SYMBOLS, NOW).paused_until is None for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("dead", [SYMBOLS[:1], SYMBOLS[:3], SYMBOLS[:50]], ids=len)
def test_symbols_that_never_had_a_price_are_missing_at_the_cost_of_one_request_more(
    source: YahooSource, market: Market, dead: tuple[str, ...]
) -> None:
    market.dead = {*dead}

    results = [source.fetch(dead, NOW) for _ in range(3)]

    for result in results:
        assert (result.missing, result.failures, result.quotes) == (dead, (), ())
        assert result.complete_to is not None
    assert market.requested == [dead, *[(*dead, REFERENCE)] * 3]


def test_a_symbol_that_is_delisted_while_it_is_watched_alone_is_missing(source: YahooSource, market: Market) -> None:
    assert source.fetch(["S1"], NOW).missing == ()
    market.dead = {"S1"}

    result = source.fetch(["S1"], NOW)

    assert (result.missing, result.failures) == (("S1",), ())
    assert result.complete_to is not None


def test_symbols_that_are_delisted_one_after_the_other_are_missing(source: YahooSource, market: Market) -> None:
    for dead in (set(), {"S1"}, {"S1", "S2"}, {"S1", "S2", "S3"}):
        market.dead = {*dead}
        result = source.fetch(["S1", "S2", "S3"], NOW)
        assert ({*result.missing}, result.failures) == (dead, ())


def test_symbols_that_lose_their_prices_together_are_a_failure_for_an_hour(
    source: YahooSource, market: Market, seconds: list[float]
) -> None:
    source.fetch(SYMBOLS[:2], NOW)
    market.dead = {*SYMBOLS}

    for seconds[0] in (10.0, 1800.0, 3599.0):
        assert [failure.reason for failure in source.fetch(SYMBOLS[:2], NOW).failures] == ["malformed"]
    seconds[0] = 3600.0
    assert source.fetch(SYMBOLS[:2], NOW + HOUR).missing == SYMBOLS[:2]


def test_an_unusable_price_is_rejected_while_yahoo_has_others(source: YahooSource, market: Market) -> None:
    market.outage = lambda symbols: response([row(symbol, 0 if symbol == "S1" else 1.5) for symbol in symbols])

    result = source.fetch(["S1"], NOW)

    assert [rejected.symbol for rejected in result.rejected] == ["S1"]
    assert result.failures == ()
    assert result.complete_to is not None


def test_the_reference_is_asked_for_once_and_is_no_quote_of_the_poll(source: YahooSource, market: Market) -> None:
    market.dead = {"S1"}
    assert source.fetch(["S1", "^gspc"], NOW).missing == ("S1",)
    market.requested.clear()

    assert source.fetch(["S1"], NOW).quotes == ()
    assert market.requested == [("S1", REFERENCE)]
    assert with_reference(["^gspc"]) == ("^gspc",)


def test_without_the_reference_itself_yahoo_fails(source: YahooSource, market: Market) -> None:
    market.dead = {REFERENCE}

    assert [failure.reason for failure in source.fetch([REFERENCE], NOW).failures] == ["malformed"]
    assert market.requested == [(REFERENCE,)]


Event = tuple[str, int]
EVENTS = st.lists(
    st.tuples(st.sampled_from(["poll", "outage", "dies", "returns", "waits"]), st.integers(0, len(SYMBOLS) - 1)),
    max_size=30,
)


@settings(max_examples=sized(12, 200))
@given(size=st.sampled_from([1, 2, 3, 49, 50, 51, 52, 60]), outage=st.sampled_from([*OUTAGES.values()]), events=EVENTS)
def test_a_poll_is_complete_unless_yahoo_answers_without_a_quote(
    size: int, outage: Outage, events: list[Event]
) -> None:
    """Symbols die and return one at a time, with a complete poll between two deaths."""
    symbols = SYMBOLS[:size]
    market, seconds = Market(), [0.0]
    with closing(make_source(market, seconds)) as source:
        for event, number in events:
            symbol = symbols[number % size]
            market.outage = outage if event == "outage" else None
            if event == "dies":
                market.dead.add(symbol)
            elif event == "returns":
                market.dead.discard(symbol)
            elif event == "waits":
                seconds[0] += 100.0 * number
            before = len(market.requested)

            result = source.fetch(symbols, NOW)

            assert len(market.requested) - before <= 2 * -(-size // MAX_BATCH)
            if event == "outage":
                assert result.failures
                assert result.complete_to is None
            else:
                assert result.failures == ()
                assert result.missing == tuple(symbol for symbol in symbols if symbol in market.dead)
                assert {quote.symbol for quote in result.quotes} == {*symbols} - market.dead
                assert result.complete_to is not None


@given(
    quoted=st.sets(st.sampled_from(SYMBOLS[:6])),
    batch=st.lists(st.sampled_from(SYMBOLS[:6]), min_size=1, unique=True),
    age=st.floats(0, 10_000),
)
def test_the_first_answer_without_a_quote_is_judged_by_the_recent_quotes(
    quoted: set[str], batch: list[str], age: float
) -> None:
    answers = LastAnswers()
    answers.record(quoted, (), 0)
    recent = len(quoted.intersection(batch)) if age < 3600 else 0

    assert answers.judge(batch, batch, [], age) == ("failed" if recent >= 2 else "ask with reference")
    assert answers.judge(batch, batch, batch[:1], age) == "answered"
