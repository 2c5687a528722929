"""The audit finds what is lost, duplicated or out of order."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from lane_state import Alert
from quotes import Identity, Quote, decode, encode
from replica.audit import Evidence, audit, contents_of
from replica.monitor import percentile

START = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)


def identity(second: int, revision: int = 0, symbol: str = "AAPL") -> Identity:
    return Identity(symbol, START + timedelta(seconds=second), revision)


ALERT = Alert(
    id="x", rule="r", severity="info", symbol="AAPL", timestamp="t", subject="s", values={"price": Decimal("1.50")}
)
ACCEPTED = [identity(1), identity(2), identity(2, 1), identity(1, symbol="MSFT")]
WHOLE = Evidence(
    stream=tuple(ACCEPTED),
    rows=frozenset(ACCEPTED),
    bars=2,
    bars_backfilled=1,
    archived={accepted: frozenset({repr(accepted).encode()}) for accepted in ACCEPTED},
    quarantined={"a": 1, "b": 4000},
    alerts={"x": ALERT},
    stored_alerts={"x": ALERT},
)


def test_a_pipeline_that_kept_everything_has_no_findings() -> None:
    findings = audit(ACCEPTED, WHOLE)
    assert (findings.lost, findings.duplicated, findings.out_of_order) == (0, 0, 0)
    assert (findings.quotes_accepted, findings.quotes_stored, findings.quarantined, findings.alerts) == (4, 4, 4001, 1)


def test_a_quote_that_is_no_row_or_not_in_the_archive_is_lost_once() -> None:
    assert audit(ACCEPTED, replace(WHOLE, rows=WHOLE.rows - {identity(1)})).lost == 1
    archived = {key: contents for key, contents in WHOLE.archived.items() if key != identity(2)}
    assert audit(ACCEPTED, replace(WHOLE, archived=archived)).lost == 1
    assert audit(ACCEPTED, replace(WHOLE, archived=archived, rows=WHOLE.rows - {identity(2)})).lost == 1


def test_an_alert_that_is_not_stored_as_it_was_received_is_found() -> None:
    other = replace(ALERT, values={"price": Decimal("1.51")})
    assert audit(ACCEPTED, WHOLE).alerts_unmatched == 0
    assert audit(ACCEPTED, replace(WHOLE, stored_alerts={})).alerts_unmatched == 1
    assert audit(ACCEPTED, replace(WHOLE, stored_alerts={"x": other})).alerts_unmatched == 1
    assert audit(ACCEPTED, replace(WHOLE, stored_alerts={"x": ALERT, "y": other})).alerts_unmatched == 1
    assert audit(ACCEPTED, replace(WHOLE, alerts={}, quarantined={"stream/alert/x": 1})).alerts_unmatched == 0


def test_one_content_under_two_revisions_is_a_duplicate() -> None:
    archived = {**WHOLE.archived, identity(2, 1): WHOLE.archived[identity(2)]}
    assert audit(ACCEPTED, replace(WHOLE, archived=archived)).duplicated == 1


@pytest.mark.parametrize(
    ("state", "days", "duplicates"),
    [("REGULAR", 1, 0), ("REGULAR", 0, 1), ("CLOSED", 1, 1), (None, 1, 1)],
    ids=["another session", "the same session", "another day of a closed market", "another day of one unknown"],
)
def test_the_same_content_is_a_duplicate_but_in_another_session(state: str | None, days: int, duplicates: int) -> None:
    quote = Quote(
        symbol="AAPL",
        event_time=START,
        price=Decimal(1),
        source="yahoo",
        ingest_time=START,
        market_state=state,
    )
    again = replace(quote, revision=1, ingest_time=START + timedelta(days=days))
    archived = contents_of(decode(encode([quote, again])).good)
    assert audit([], replace(WHOLE, archived=archived)).duplicated == duplicates


def test_a_packet_sent_twice_is_neither_a_duplicate_nor_out_of_order() -> None:
    assert audit(ACCEPTED, replace(WHOLE, stream=(*WHOLE.stream, *WHOLE.stream))).out_of_order == 0


def test_a_first_arrival_behind_a_later_quote_of_its_symbol_is_out_of_order() -> None:
    late = (identity(2), identity(2, 1), identity(1, symbol="MSFT"), identity(1))
    assert audit(ACCEPTED, replace(WHOLE, stream=late)).out_of_order == 1


@pytest.mark.parametrize(("percent", "value"), [(50, 0.002), (99, 4.0), (1, 0.001), (75, 0.002)])
def test_a_percentile_is_a_value_that_occurred(percent: int, value: float) -> None:
    assert percentile(Counter({1: 1, 2: 2, 4_000: 1}), percent) == value
    assert percentile(Counter(), percent) is None
