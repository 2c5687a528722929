from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from producer_service.deduplication import MAX_CONTENTS, SymbolHistory, deduplicate
from quotes import Quote, decode
from tests.support.quotes import make_quote


def test_a_later_quote_is_accepted_even_with_the_same_content() -> None:
    deduplicated = deduplicate({}, [make_quote(second=0), make_quote(second=1)])
    assert [accepted.revision for accepted in deduplicated.accepted] == [0, 0]


def test_the_same_content_at_the_same_time_is_suppressed() -> None:
    first = deduplicate({}, [make_quote()])
    again = deduplicate(first.histories, [make_quote(received=5)])
    assert (again.accepted, again.suppressed, again.histories) == ((), 1, {})


def test_new_content_at_the_newest_time_raises_the_revision() -> None:
    deduplicated = deduplicate({}, [make_quote(price="100"), make_quote(price="101"), make_quote(price="102")])
    assert [accepted.revision for accepted in deduplicated.accepted] == [0, 1, 2]
    [line] = decode(deduplicated.accepted[-1].line).good
    assert isinstance(line.line, Quote)
    assert line.line.identity == deduplicated.accepted[-1].identity


def test_content_seen_before_at_that_time_is_suppressed_though_another_came_between() -> None:
    deduplicated = deduplicate({}, [make_quote(price="100"), make_quote(price="101"), make_quote(price="100")])
    assert (len(deduplicated.accepted), deduplicated.suppressed) == (2, 1)


def test_the_quote_of_the_close_is_accepted_again_at_the_next_open() -> None:
    """No trade has happened, and only the market state differs.

    If the quote were suppressed, the market would count as closed, and a silence of the symbol would raise no alert.
    """
    states = ("REGULAR", "POST", "CLOSED", "PRE", "REGULAR", "REGULAR")
    received = (0, 60, 3600, 70_000, 80_000, 80_060)
    quotes = [replace(make_quote(received=at), market_state=state) for state, at in zip(states, received, strict=True)]
    deduplicated = deduplicate({}, quotes)
    assert [accepted.quote.market_state for accepted in deduplicated.accepted] == list(states[:5])


def test_a_closed_market_has_no_new_quotes_on_another_day() -> None:
    quotes = [
        replace(make_quote(received=day * 86_400), market_state=state) for day in range(3) for state in ("CLOSED", None)
    ]
    deduplicated = deduplicate({}, quotes)
    assert (len(deduplicated.accepted), deduplicated.suppressed) == (2, 4)


def test_a_quote_older_than_its_symbols_newest_is_late_and_not_accepted() -> None:
    deduplicated = deduplicate({}, [make_quote(second=10), make_quote(second=9), make_quote("MSFT", second=9)])
    assert [accepted.quote.symbol for accepted in deduplicated.accepted] == ["AAPL", "MSFT"]
    assert deduplicated.late == 1


def test_the_history_of_one_time_is_bounded() -> None:
    deduplicated = deduplicate({}, [make_quote(price=str(price)) for price in range(1, 200)])
    assert deduplicated.histories["AAPL"].revision == 198
    assert len(deduplicated.histories["AAPL"].contents) == MAX_CONTENTS


@given(
    st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 3), st.integers(1, 3)), max_size=40), st.integers(0, 40)
)
def test_every_quote_has_one_outcome_and_identities_are_unique_and_rise(
    given_quotes: list[tuple[str, int, int]], cut: int
) -> None:
    quotes = [_quote(symbol, second, price) for symbol, second, price in given_quotes]
    histories: dict[str, SymbolHistory] = {}
    identities = []
    outcomes = 0
    for part in (quotes[:cut], quotes[cut:]):
        deduplicated = deduplicate(histories, part)
        histories |= deduplicated.histories
        identities += [accepted.identity for accepted in deduplicated.accepted]
        outcomes += len(deduplicated.accepted) + deduplicated.suppressed + deduplicated.late
    assert outcomes == len(quotes)
    for symbol in "AB":
        of_symbol = [identity for identity in identities if identity.symbol == symbol]
        assert of_symbol == sorted(set(of_symbol))


def _quote(symbol: str, second: int, price: int) -> Quote:
    start = datetime(2026, 11, 23, tzinfo=UTC)
    return Quote(
        symbol=symbol,
        event_time=start + timedelta(seconds=second),
        price=Decimal(price),
        source="synthetic",
        ingest_time=start + timedelta(minutes=1),
    )


def test_a_history_of_the_future_is_forgotten() -> None:
    """S13: after a clock was an hour fast, every quote was late for an hour."""
    future = make_quote(second=3600)
    histories = deduplicate({}, [future]).histories
    deduplicated = deduplicate(histories, [make_quote(second=60), make_quote(second=61)])
    assert (len(deduplicated.accepted), deduplicated.late) == (2, 0)
    assert deduplicated.histories["AAPL"].event_time == make_quote(second=61).event_time


def test_a_time_that_is_ahead_within_the_skew_makes_a_symbol_late_until_it_has_come() -> None:
    ahead = replace(make_quote(second=60), ingest_time=make_quote().ingest_time)
    histories = deduplicate({}, [ahead]).histories
    results = [deduplicate(histories, [make_quote(second=second)]) for second in (1, 59, 60, 61)]
    assert [each.late for each in results] == [1, 1, 0, 0]
