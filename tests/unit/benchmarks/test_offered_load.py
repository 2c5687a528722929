"""The load of the pipeline's benchmark keeps its schedule, whatever the producer does."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from benchmarks.offered_load import MOST_AT_ONCE, OfferedLoad, OfferedSource
from producer_service.sources import FetchResult, PushedSource
from quotes import Quote

SLOW_SECONDS = 0.03


class AnyMarket:
    """A market of which the load needs to know nothing."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def due(self) -> tuple[str, ...]:
        return ()

    def trading(self) -> tuple[str, ...]:
        return ()


def offered(load: OfferedLoad, *, slow: bool = False) -> list[list[Quote]]:
    """Every delivery of a load, with a producer that is slow to take the first one."""
    source, deliveries = OfferedSource(load), list[list[Quote]]()

    def deliver(result: FetchResult) -> None:
        if slow and not deliveries:
            threading.Event().wait(SLOW_SECONDS)  # the outbox is full
        deliveries.append(list(result.quotes))
        assert result.complete_to == result.quotes[-1].event_time
        if sum(map(len, deliveries)) == load.quotes:
            source.close()

    source.listen(deliver, AnyMarket())
    return deliveries


def test_a_quote_is_received_when_it_is_due_even_if_the_producer_takes_it_late() -> None:
    load = OfferedLoad(quotes=60, rate=1000, symbols=7)
    deliveries = offered(load, slow=True)
    quotes = [quote for delivery in deliveries for quote in delivery]
    first = quotes[0].ingest_time
    assert [quote.ingest_time for quote in quotes] == [first + timedelta(milliseconds=index) for index in range(60)]
    assert len(deliveries[1]) >= SLOW_SECONDS * 1000 - 1  # what came due meanwhile comes at once


def test_generated_quotes_differ_and_their_symbols_take_turns() -> None:
    quotes = [quote for delivery in offered(OfferedLoad(quotes=60, rate=1000, symbols=7)) for quote in delivery]
    assert [quote.symbol for quote in quotes] == [f"SYM{index % 7:05d}" for index in range(60)]
    assert len({quote.identity for quote in quotes}) == 60
    assert all(quote.event_time == quote.ingest_time for quote in quotes)


def test_a_load_without_a_rate_comes_at_once_and_lies_in_the_past() -> None:
    before = datetime.now(UTC)
    deliveries = offered(OfferedLoad(quotes=2_500, rate=None, symbols=100))
    assert list(map(len, deliveries)) == [MOST_AT_ONCE, MOST_AT_ONCE, 500]
    quotes = [quote for delivery in deliveries for quote in delivery]
    assert len({quote.identity for quote in quotes}) == 2_500
    assert max(quote.event_time for quote in quotes) <= datetime.now(UTC)
    assert min(quote.ingest_time for quote in quotes) >= before - timedelta(milliseconds=1)


def test_the_load_is_a_pushed_source() -> None:
    assert isinstance(OfferedSource(OfferedLoad(quotes=1, rate=1, symbols=1)), PushedSource)
