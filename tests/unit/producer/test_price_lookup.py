"""Every symbol gets an answer: its newest price, or why it has none, and what to ask the user."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest

from producer_service.price_lookup import Answer, look_up
from producer_service.price_table import price_table, problems
from producer_service.sources import Failure, FetchResult, Rejected, SourceTraits
from quotes import Quote
from tests.fakes.pushed_source import OPEN_END, FakePushedSource, Step
from tests.support.quotes import OPEN, make_quote
from watchlist.symbol_names import yahoo_hint


class Script:
    """A polled source that returns some results, one for each fetch."""

    symbols: tuple[str, ...] = ()
    traits = SourceTraits(is_live=True, hint=yahoo_hint)

    def __init__(self, *results: FetchResult | Exception) -> None:
        self._results = iter(results)
        self.is_closed = False

    def fetch(self, symbols: Sequence[str], now: datetime) -> FetchResult:  # noqa: ARG002
        result = next(self._results)
        if isinstance(result, Exception):
            raise result
        return result

    def close(self) -> None:
        self.is_closed = True


def asked(source: Script | FakePushedSource, *symbols: str, seconds: float = 10) -> dict[str, Answer]:
    answers = look_up(source, symbols, now, seconds)
    assert [answer.symbol for answer in answers] == list(symbols)
    assert source.is_closed
    return {answer.symbol: answer for answer in answers}


def now() -> datetime:
    return OPEN


def test_a_poll_answers_each_symbol() -> None:
    result = FetchResult(
        quotes=(make_quote("AAPL"), make_quote("msft")),
        missing=("APPL", "BRK.B"),
        rejected=(Rejected("X", "price is not finite"),),
        failures=(Failure("timeout", "no response", ("T",)),),
    )
    found = asked(Script(result), "AAPL", "msft", "APPL", "BRK.B", "X", "T")

    assert [answer.symbol for answer in found.values() if answer.quote] == ["AAPL", "msft"]
    assert {symbol: answer.hint for symbol, answer in found.items() if answer.hint} == {
        "msft": "did you mean MSFT?",
        "APPL": "did you mean AAPL?",
        "BRK.B": "did you mean BRK-B?",
    }
    assert list(problems(list(found.values()))) == [
        "APPL: the source has no price of it; did you mean AAPL?",
        "BRK.B: the source has no price of it; did you mean BRK-B?",
        "X: refused: price is not finite",
        "T: the request failed: timeout: no response",
    ]


def test_a_recording_is_read_until_each_symbol_has_a_price() -> None:
    first = FetchResult(quotes=(make_quote("A", 1), make_quote("A", 2)), more=True)
    second = FetchResult(quotes=(make_quote("B", 3),), more=True)
    found = asked(Script(first, second), "A", "B")

    assert [answer.quote and answer.quote.event_time for answer in found.values()] == [
        OPEN + timedelta(seconds=second) for second in (2, 3)
    ]


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (ConnectionResetError("reset"), "the request failed: connection: ConnectionResetError: reset"),
        (FetchResult(failures=(Failure("rate_limited", "429", ()),)), "the request failed: rate_limited: 429"),
        (FetchResult(paused_until=OPEN), "the source takes no request until 14:30:00 UTC"),
        (FetchResult(), "no price came within 10 s"),
    ],
)
def test_a_source_that_has_nothing_says_why(result: FetchResult | Exception, problem: str) -> None:
    assert asked(Script(result), "AAPL")["AAPL"].problem == problem


def test_a_pushed_source_is_heard_until_each_symbol_has_a_price() -> None:
    steps: list[Step] = [FetchResult(quotes=(make_quote("AAPL"),)), FetchResult(quotes=(make_quote("MSFT"),))]
    assert all(answer.quote for answer in asked(FakePushedSource([*steps, OPEN_END]), "AAPL", "MSFT").values())


def test_a_symbol_that_a_pushed_source_does_not_know_is_compared_with_its_own() -> None:
    source = FakePushedSource([FetchResult(quotes=(make_quote("AAPL"),)), OPEN_END])
    answer = asked(source, "AAPL", "MFST", seconds=0.05)["MFST"]
    assert (answer.problem, answer.hint) == ("no price came within 0 s", "did you mean MSFT?")


def test_a_pushed_source_that_ends_keeps_what_it_delivered() -> None:
    found = asked(FakePushedSource([FetchResult(quotes=(make_quote("AAPL"),))]), "AAPL", "MSFT")
    assert found["AAPL"].problem is None
    assert found["MSFT"].problem == "the request failed: connection: the source ended its connection"


def test_symbols_without_a_price_for_the_same_reason_share_a_line() -> None:
    answers = [Answer(symbol=f"S{number}", quote=None, problem="429", hint=None) for number in range(12)]
    assert list(problems(answers)) == ["S0, S1, S2, S3, S4, S5, S6, S7, S8, S9 and 2 more: 429"]


def test_a_table_shows_price_change_market_time_and_delay() -> None:
    def quote(symbol: str, price: str, **fields: object) -> Quote:
        return Quote(
            symbol=symbol,
            event_time=datetime(2026, 11, 27, 18, 0, 1, tzinfo=UTC),
            price=Decimal(price),
            source="yahoo",
            ingest_time=OPEN + timedelta(days=9),
            **fields,  # type: ignore[arg-type]
        )

    rows = [
        quote(
            "AAPL",
            "201",
            previous_close=Decimal(200),
            currency="USD",
            exchange="NMS",
            market_state="CLOSED",
            delay_minutes=15,
        ),
        quote("EURUSD=X", "1.0845987"),
    ]
    head, apple, euro = price_table(rows)
    assert head.split() == ["symbol", "price", "change", "exchange", "market", "time", "(UTC)", "delay"]
    assert apple.split()[0] == "AAPL"
    assert apple.endswith("USD  +0.50%  NMS       CLOSED  2026-11-27 18:00  15 min")
    assert euro.split() == ["EURUSD=X", "1.0845987", "2026-11-27", "18:00"]
    assert apple.index("NMS") == head.index("exchange")


def test_a_recording_without_end_is_left_after_the_time_is_over() -> None:
    numbers = count()

    class Endless(Script):
        def fetch(self, symbols: Sequence[str], now: datetime) -> FetchResult:  # noqa: ARG002
            return FetchResult(quotes=(make_quote("A", next(numbers)),), more=True)

    assert asked(Endless(), "A", "B", seconds=0.01)["B"].problem == "no price came within 0 s"
