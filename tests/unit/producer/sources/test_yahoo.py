from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from producer_service.sources.yahoo import MAX_BATCH, MAX_STALENESS, YahooSource
from producer_service.sources.yahoo_client import Reply, Trouble

NOW = datetime(2026, 11, 23, 15, 0, 0, 123456, tzinfo=UTC)
SYMBOLS = tuple(f"S{number}" for number in range(4 * MAX_BATCH))
BATCHES = tuple(SYMBOLS[first : first + MAX_BATCH] for first in range(0, len(SYMBOLS), MAX_BATCH))

Answer = Callable[[Sequence[str]], Reply]


def quotes(symbols: Sequence[str], **fields: object) -> Reply:
    time = int(NOW.timestamp()) - 5
    rows = [{"symbol": symbol, "regularMarketPrice": 1.5, "regularMarketTime": time, **fields} for symbol in symbols]
    return Reply(200, json.dumps({"quoteResponse": {"result": rows}}).encode())


def status(code: int) -> Answer:
    return lambda _: Reply(code, b"")


def timeout(_: Sequence[str]) -> Reply:
    raise Trouble("timeout", "timed out after 5 s")


class FakeClient:
    """Gives the answers it was made with, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = answers
        self.asked: list[tuple[str, ...]] = []
        self.closed = False

    def get(self, symbols: Sequence[str]) -> Reply:
        self.asked.append(tuple(symbols))
        return self.answers[min(len(self.asked), len(self.answers)) - 1](symbols)

    def close(self) -> None:
        self.closed = True


def test_a_poll_is_one_request_for_fifty_symbols() -> None:
    client = FakeClient(quotes)

    result = YahooSource(client=client).fetch(SYMBOLS[:101], NOW)

    assert [len(asked) for asked in client.asked] == [50, 50, 1]
    assert tuple(quote.symbol for quote in result.quotes) == SYMBOLS[:101]
    assert result.failures == ()
    assert not result.more


def test_no_symbols_are_no_request() -> None:
    client = FakeClient(quotes)

    assert YahooSource(client=client).fetch((), NOW).quotes == ()
    assert client.asked == []


def test_is_complete_to_the_start_of_the_poll_less_staleness_and_the_largest_delay() -> None:
    client = FakeClient(lambda symbols: quotes(symbols, exchangeDataDelayedBy=0 if "S0" in symbols else 15))

    result = YahooSource(client=client).fetch(SYMBOLS, NOW)

    assert result.complete_to == NOW.replace(microsecond=123000) - MAX_STALENESS - timedelta(minutes=15)


def test_a_quote_is_received_when_its_batch_was_answered() -> None:
    clock = iter([100.0, 100.25, 101.5])
    source = YahooSource(client=FakeClient(quotes), monotonic=lambda: next(clock))

    result = source.fetch(SYMBOLS[:51], NOW)

    assert result.quotes[0].ingest_time == NOW.replace(microsecond=373000)
    assert result.quotes[50].ingest_time == NOW.replace(second=1, microsecond=623000)


def test_a_refusal_ends_the_poll() -> None:
    for code, reason in ((429, "rate_limited"), (401, "unauthorized")):
        client = FakeClient(quotes, status(code), quotes)

        result = YahooSource(client=client).fetch(SYMBOLS, NOW)

        assert client.asked == list(BATCHES[:2])
        assert [(failure.reason, failure.symbols) for failure in result.failures] == [
            (reason, batch) for batch in BATCHES[1:]
        ]
        assert len(result.quotes) == MAX_BATCH
        assert result.complete_to is None


def test_one_failed_batch_leaves_the_others_alone() -> None:
    client = FakeClient(timeout, quotes)

    result = YahooSource(client=client).fetch(SYMBOLS, NOW)

    assert [(failure.reason, failure.symbols) for failure in result.failures] == [("timeout", BATCHES[0])]
    assert len(result.quotes) == 3 * MAX_BATCH
    assert result.complete_to is None


def test_two_failed_batches_in_a_row_end_the_poll() -> None:
    client = FakeClient(status(500), quotes, timeout, status(502), quotes)

    result = YahooSource(client=client).fetch((*SYMBOLS, *SYMBOLS[:MAX_BATCH]), NOW)

    assert len(client.asked) == 4
    assert [failure.reason for failure in result.failures] == [
        "server_error",
        "timeout",
        "server_error",
        "server_error",
    ]


def test_the_next_poll_asks_again() -> None:
    client = FakeClient(status(429), quotes)
    source = YahooSource(client=client)

    source.fetch(SYMBOLS, NOW)

    assert source.fetch(SYMBOLS, NOW).failures == ()


def test_a_page_in_place_of_quotes_is_malformed() -> None:
    result = YahooSource(client=FakeClient(lambda _: Reply(200, b"<html>"))).fetch(["AAPL"], NOW)

    assert [failure.reason for failure in result.failures] == ["malformed"]
    assert "<html>" in result.failures[0].detail


def test_closes_its_client() -> None:
    client = FakeClient(quotes)

    YahooSource(client=client).close()

    assert client.closed
