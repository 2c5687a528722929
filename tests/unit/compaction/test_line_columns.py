"""Columns of lines are what the decoder reads, for every line."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.compacted_tables import QUOTE_VALUES
from compaction.errors import Damaged
from compaction.line_columns import read
from quotes import Quote, decode, encode_line
from tests.support.edge_lines import COUNTS, PLAIN, PRICES, TIMES, counts, edge_lines, numbers, texts, times
from tests.support.quotes import OPEN, make_quote
from tests.support.sizes import sized

ORDER = (
    *("kind", "v", "symbol", "event_time", "price", "source", "open", "high", "low", "previous_close", "volume"),
    *("currency", "exchange", "market_state", "delay_minutes", "source_time", "volume_period", "provenance"),
    *("ingest_time", "revision"),
)
"""The order in which the encoder writes members."""
_EDGES = {**dict.fromkeys(PRICES, numbers), **dict.fromkeys(COUNTS, counts), **dict.fromkeys(TIMES, times)}
_members = st.sampled_from(ORDER[2:]).flatmap(lambda name: st.tuples(st.just(name), _EDGES.get(name, texts)))
ordered_lines = st.lists(_members, max_size=3).map(lambda members: _encoded(PLAIN | dict(members)))
"""Lines in the form of the encoder, with values at the edge of what the decoder accepts."""


def _encoded(members: dict[str, str]) -> bytes:
    texts_ = ",".join(f'"{name}":{members[name]}' for name in ORDER if name in members)
    return f"{{{texts_}}}".encode(errors="surrogatepass")


def expected(quote: Quote, origin: int) -> dict[str, Any]:
    values = {column.name: getattr(quote, column.name) for column in QUOTE_VALUES}
    naive = {name: each.replace(tzinfo=None) if isinstance(each, datetime) else each for name, each in values.items()}
    return {**naive, "origin": origin}


def sorted_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row["origin"])


@settings(
    max_examples=sized(15, 300), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(st.lists(edge_lines() | ordered_lines, max_size=8))
def test_reads_the_quotes_that_the_decoder_accepts_with_the_same_values(contents: list[bytes]) -> None:
    accepted = [
        (number, good.line)
        for number, content in enumerate(contents)
        if b"\n" not in content
        for good in decode(content).good
    ]
    good = {number for number, _ in accepted}
    numbers = sorted(good)
    found = read([contents[number] for number in numbers], numbers, str)
    quotes = [expected(line, number) for number, line in accepted if isinstance(line, Quote)]
    assert sorted_rows(found.quotes.to_pylist()) == quotes
    for number, content in enumerate(contents):
        if number not in good and content and b"\n" not in content:
            with pytest.raises(Damaged):
                read([content], [0], str)


def test_reads_optional_members_in_any_combination() -> None:
    full = Quote(
        symbol="^GSPC",
        event_time=OPEN,
        revision=3,
        price=Decimal("999999999999.99999999999999999999999999"),
        source="a, b",
        ingest_time=OPEN,
        open=Decimal("-0.00000000000000000000000001"),
        volume=2**63 - 1,
        exchange="NMS,",
        source_time=OPEN + timedelta(milliseconds=1),
        volume_period="24h",
        provenance="backfill",
    )
    quotes = [make_quote(), full, make_quote(price="0.5"), make_quote(price="-1")]
    found = read([encode_line(each)[:-1] for each in quotes], range(4), str)
    assert sorted_rows(found.quotes.to_pylist()) == [expected(each, number) for number, each in enumerate(quotes)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"2026-11-23T14:30:00.000Z", b"2026-02-30T14:30:00.000Z"),
        (b'"v":1', b'"v":2'),
        (b'"price":100', b'"price":1e2'),
    ],
)
def test_a_line_that_the_decoder_refuses_names_its_object(before: bytes, after: bytes) -> None:
    bad = encode_line(make_quote())[:-1].replace(before, after)
    with pytest.raises(Damaged, match=r"object 7 has a line that the processor cannot have written"):
        read([encode_line(make_quote())[:-1], bad], [6, 7], lambda number: f"object {number}")


def test_a_quote_far_ahead_of_its_receipt_is_refused_like_by_the_decoder() -> None:
    received = b'"ingest_time":"2026-11-23T14:'
    line = encode_line(make_quote()).replace(received + b"30:00", received + b"28:59")
    with pytest.raises(Damaged, match="after ingest_time"):
        read([line[:-1]], [0], str)
