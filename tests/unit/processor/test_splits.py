"""Which quotes show a split, what a split does to the state of a symbol, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import product

import pytest
from msgspec.structs import replace

from indicators import Indicators
from processor_lambda import fold
from processor_lambda.alerts import PriceMove, Rule, Split, ZScore
from processor_lambda.splits import split_ratio
from quotes import Action, Line, Quote
from tests.fakes.pipeline import OPEN, make_quote
from tests.support.lane_folding import DAY, MOVE, Outcome, fold_batches, heartbeat, in_order

RULES: Sequence[Rule] = (MOVE, ZScore(), Split())


@pytest.mark.parametrize(
    ("last", "previous_close", "price", "ratio"),
    [
        (500.0, 125.2, 127.0, Fraction(4)),
        (1200.0, 120.1, 119.0, Fraction(10)),
        (150.0, 100.1, 101.0, Fraction(3, 2)),
        (2.0, 20.1, 19.5, Fraction(1, 10)),
        (100.0, 75.0, 76.0, Fraction(4, 3)),
        (0.10, 3.50, 3.50, Fraction(1, 35)),  # P8
        (250.0, 100.0, 98.0, Fraction(5, 2)),  # P8
        (100.0, 3225.81, 3300.0, Fraction(31, 1000)),  # P8
        (3225.81, 100.0, 101.0, Fraction(1000, 31)),
        (71.0, 10.15, 10.3, Fraction(7)),
        (8.02, 64.0, 66.0, Fraction(1, 8)),
        (120.0, 100.0, 99.0, Fraction(6, 5)),
        (12.2, 1000.0, 1010.0, Fraction(61, 5000).limit_denominator(1000)),
        (99.0, 1.0, 1.01, Fraction(99)),
    ],
)
def test_the_ratio_follows_from_the_last_price_and_the_new_previous_close(
    last: float, previous_close: float, price: float, ratio: Fraction
) -> None:
    assert split_ratio(last, previous_close, price) == ratio


@pytest.mark.parametrize("deviation", [-0.008, 0, 0.008])
@pytest.mark.parametrize(("new", "old"), [*product((2, 3, 4, 5, 6, 7, 8, 10, 20), (1,)), (1, 25), (1, 50), (1, 1000)])
def test_a_usual_ratio_is_found_although_the_last_price_was_not_the_close(new: int, old: int, deviation: float) -> None:
    last = 500 * (1 + deviation)
    assert split_ratio(last, 500 * old / new, 503 * old / new) == Fraction(new, old)


def test_any_ratio_from_three_on_is_found_within_a_percent() -> None:
    for new, old in product(range(1, 60), repeat=2):
        if max(new, old) >= 3 * min(new, old):
            close = round(487.35 * old / new, 4)
            found = split_ratio(487.35, close, close * 1.01)
            assert found is not None, (new, old)
            assert float(found) == pytest.approx(new / old, rel=0.01)


@pytest.mark.parametrize(
    ("last", "previous_close", "price"),
    [
        (100.0, 100.0, 50.0),  # a crash: the previous close does not show it
        (100.0, 50.0, 99.0),  # a wrong previous close: the price does not show it
        (100.0, 79.0, 79.5),  # a fifth, and not quite 5 for 4
        (100.0, 47.0, 47.0),
        (100.0, 91.0, 91.0),
        (0.0, 50.0, 50.0),
        (-5.0, 5.0, 5.0),
        (100.0, 0.0, 50.0),
        (1e12, 1e-26, 1e-26),
    ],
)
def test_anything_else_is_not_a_split(last: float, previous_close: float, price: float) -> None:
    assert split_ratio(last, previous_close, price) is None


def on_day(number: float, price: str, previous_close: str | None, minute: int = 0) -> Quote:
    return make_quote(second=number * DAY + 60 * minute, price=price, previous_close=previous_close)


def declared(day: float, new: int, old: int = 1) -> Action:
    time = OPEN + timedelta(days=day)
    return Action(
        symbol="AAPL",
        action="split",
        event_time=time,
        numerator=new,
        denominator=old,
        source="yahoo",
        ingest_time=time,
    )


def folded(*lines: Line, end: float = 3) -> Outcome:
    """The outcome of some lines after five minutes at 200."""
    before = [on_day(0, "200", "199", minute) for minute in range(5)]
    return fold_batches([*before, *lines, heartbeat(end * DAY)], rules=RULES)


def test_a_split_rescales_the_indicators_and_raises_an_alert() -> None:
    bars, alerts, state = folded(on_day(1, "51", "50.1"))
    assert [(alert.severity, alert.subject) for alert in alerts] == [
        ("info", "AAPL split 4 for 1: its indicators are rescaled")
    ]
    assert bars[-1].indicators["sma_5"] == pytest.approx((50 * 4 + 51) / 5)
    assert state.symbols["AAPL"].split is not None


def test_a_price_and_a_previous_close_that_are_both_halved_are_a_split() -> None:
    assert len(fold_batches([on_day(0, "200", "199"), on_day(1, "100", "100")], rules=[Split()]).alerts) == 1


@pytest.mark.parametrize(
    ("price", "previous_close"),
    [("199", "50"), ("51", "200"), ("190", "198"), ("165", "160.5")],
    ids=["a wrong previous close", "a crash", "a usual day", "no ratio"],
)
def test_what_only_looks_like_a_split_rescales_nothing(price: str, previous_close: str) -> None:
    assert fold_batches([on_day(0, "200", "199"), on_day(1, price, previous_close)], rules=[Split()]).alerts == []


def test_after_a_long_silence_a_halved_price_is_not_a_split() -> None:
    assert fold_batches([on_day(0, "200", "199"), on_day(30, "100", "100")], rules=[Split()]).alerts == []


def test_an_inferred_split_that_is_taken_back_leaves_the_indicators_as_they_were() -> None:
    bars, _, state = folded(on_day(1, "51", "50.1"), on_day(1, "201", "200.4", 1), on_day(1, "202", "200.4", 2))
    assert bars[-1].indicators["sma_5"] == pytest.approx((200 * 2 + 51 * 4 + 201 + 202) / 5)
    assert state.symbols["AAPL"].split is None


def test_old_answers_after_an_inferred_split_do_not_rescale_twice() -> None:
    """The old price deviates too much from the old close to show the way back, but not the way there."""
    lines = [on_day(1, "102", "100"), on_day(1, "201", "199", 1), on_day(1, "101", "100", 2)]
    bars, alerts, _ = folded(*lines)
    assert len([alert for alert in alerts if alert.rule == "split"]) == 1
    assert bars[-1].indicators["sma_5"] == pytest.approx((100 * 2 + 102 + 201 + 101) / 5)


RATIOS = [(4, 1), (5, 2), (31, 1000), (1, 35), (11, 10), (21, 20), (1031, 1000), (1, 8), (3, 2)]


def after_split(new: int, old: int, *, shows: bool) -> list[Quote]:
    """Three quotes after a split. The previous close shows the split, or the source gives none."""
    amounts = [str(round(amount * old / new, 6)) for amount in (201, 202, 203)]
    close = str(round(Decimal(200) * old / new, 6)) if shows else None
    return [on_day(1, amount, close, minute) for minute, amount in enumerate(amounts)]


@pytest.mark.parametrize("shows", [True, False], ids=["prices show it", "prices alone"])
@pytest.mark.parametrize("place", range(4), ids=["before", "after one quote", "after two", "after all"])
@pytest.mark.parametrize(("new", "old"), RATIOS)
def test_a_declared_split_rescales_once_whenever_it_is_declared(new: int, old: int, place: int, *, shows: bool) -> None:
    """Afterwards the averages are those of prices in new shares, however often the declaration comes."""
    quotes: list[Line] = list(after_split(new, old, shows=shows))
    lines = quotes[:place] + [declared(1, new, old)] * 2 + quotes[place:] + [declared(1, new, old)]
    last = on_day(1, str(round(204 * old / new, 6)), str(round(Decimal(200) * old / new, 6)), 9)
    bars, alerts, _ = folded(*lines, last, declared(1, new, old))
    assert [alert.rule for alert in alerts] == ["split"]
    ratio = Fraction(new, old)
    assert alerts[0].subject == f"AAPL split {ratio.numerator} for {ratio.denominator}: its indicators are rescaled"
    assert bars[-1].indicators["sma_5"] == pytest.approx((200 + 201 + 202 + 203 + 204) / 5 * old / new, rel=1e-4)


def test_a_declaration_corrects_an_inferred_ratio() -> None:
    """Prices can show 33 for 1 where a company chose 98 for 3, but averages that differ by a percent do no harm."""
    bars, alerts, state = folded(on_day(1, "2.1", "2.0"), declared(1, 90), on_day(1, "2.1", "2.0", 1))
    split = state.symbols["AAPL"].split
    assert split is not None
    assert (split.new, split.old, split.is_declared) == (90, 1, True)
    assert len(alerts) == 1
    assert bars[-1].indicators["sma_5"] < 3


def test_prices_before_the_open_may_show_a_declared_split_before_its_time() -> None:
    early = on_day(0.9, "51", "50.1")
    bars, alerts, _ = folded(declared(1, 4), early, on_day(1, "52", "50.1"))
    assert len(alerts) == 1
    assert bars[-1].indicators["sma_5"] == pytest.approx((50 * 3 + 51 + 52) / 5)


def test_after_a_declared_split_an_old_answer_of_the_source_is_no_split_back() -> None:
    bars, alerts, _ = folded(
        declared(1, 4), on_day(1, "51", "50.1"), on_day(1, "200", "199", 1), on_day(1, "52", "50.1", 2)
    )
    assert [alert.rule for alert in alerts if alert.rule == "split"] == ["split"]
    assert bars[-1].indicators["sma_5"] == pytest.approx((50 + 50 + 51 + 200 + 52) / 5)


def test_an_old_split_that_is_declared_now_rescales_nothing() -> None:
    bars, alerts, _ = folded(on_day(20, "201", "200"), declared(1, 4), on_day(20, "202", "200", 1), end=21)
    assert alerts == []
    assert bars[-1].indicators["sma_5"] == pytest.approx((200 * 3 + 201 + 202) / 5)


def test_a_split_of_a_later_day_waits_for_its_first_quote() -> None:
    bars, alerts, _ = folded(declared(2, 4), on_day(1, "200", "200"), on_day(2, "50", "200"))
    assert [(alert.rule, alert.timestamp[:10]) for alert in alerts if alert.rule == "split"] == [
        ("split", "2026-11-25")
    ]
    assert bars[-2].indicators["sma_5"] == 200
    assert bars[-1].indicators["sma_5"] == 50


def test_the_stored_bars_that_a_symbol_starts_from_may_be_in_old_shares() -> None:
    warm = Indicators()
    for minute in range(5):
        warm = warm.advanced(OPEN + timedelta(minutes=minute), 200.0, None)
    lines: list[Line] = [on_day(1, "51", None), declared(1, 4), heartbeat(DAY + 60)]
    [bar] = fold_batches(lines, warm={"AAPL": warm}).bars
    assert bar.indicators["sma_5"] == pytest.approx((50 * 4 + 51) / 5)


@pytest.mark.parametrize("shares", [(2**63 - 1, 1), (1, 2**63 - 1), (3, 3)])
def test_an_absurd_split_does_no_harm(shares: tuple[int, int]) -> None:
    bars, _, _ = folded(declared(1, *shares), on_day(1, "200", "200"), declared(1, *shares))
    assert len(bars) == 6


def test_a_dividend_changes_nothing() -> None:
    dividend = Action(
        symbol="AAPL", action="dividend", event_time=OPEN, amount=Decimal("0.25"), source="yahoo", ingest_time=OPEN
    )
    assert folded(dividend) == folded()


def test_a_split_that_is_declared_before_the_first_quote_of_its_symbol_rescales_the_stored_bars() -> None:
    warm = Indicators()
    for minute in range(5):
        warm = warm.advanced(OPEN + timedelta(minutes=minute), 200.0, None)
    lines: list[Line] = [declared(1, 4), declared(1, 4), on_day(1, "51", None), declared(1, 4), heartbeat(DAY + 60)]
    bars, alerts, state = fold_batches(lines, rules=RULES, warm={"AAPL": warm})
    assert bars[-1].indicators["sma_5"] == pytest.approx((50 * 4 + 51) / 5)
    assert len(alerts) == 1
    assert state.splits == {}


def test_declared_splits_of_unknown_symbols_are_limited_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "MAX_SYMBOLS", 2)
    actions = [replace(declared(0, 4), symbol=symbol) for symbol in ("A", "B", "C")]
    assert list(fold_batches(actions).state.splits) == ["A", "B"]
    assert fold_batches([*actions, heartbeat(31 * DAY), *actions]).state.splits == {}


IN_PENCE = [replace(on_day(0, "5000", "4990", minute), currency="GBp") for minute in range(5)]


def in_currency(currency: str | None, price: str, close: str, minute: float, day: int = 0) -> Quote:
    return replace(
        on_day(day, price, close),
        currency=currency,
        event_time=OPEN + timedelta(days=day, minutes=minute),
        ingest_time=OPEN + timedelta(days=day, minutes=minute),
    )


@pytest.mark.parametrize("price", ["50.10", "52"])
def test_a_change_of_the_currencys_unit_starts_another_series(price: str) -> None:
    """The case R10."""
    rules = (PriceMove(percent=5), ZScore(), Split())
    bars, alerts, state = fold_batches(
        [*IN_PENCE, in_currency("GBP", price, "50", 0, day=1), heartbeat(DAY + 60)], rules=rules
    )
    assert alerts == []
    assert [bar.close for bar in bars] == [5000] * 5 + [Decimal(price)]
    assert "sma_5" in bars[4].indicators
    assert bars[5].indicators == {}
    assert state.symbols["AAPL"].currency == "GBP"


def test_another_currency_for_some_polls_changes_nothing() -> None:
    wrong = [in_currency("GBP", "50.1", "49.9", minute + 0.5) for minute in (5, 6, 20)]
    right = [in_currency("GBp", "5010", "4990", minute) for minute in (6, 7, 21)]
    mixed = in_order([*wrong, *right])
    assert (
        fold_batches([*IN_PENCE, *mixed, heartbeat(3600)], rules=RULES)[:2]
        == fold_batches([*IN_PENCE, *right, heartbeat(3600)], rules=RULES)[:2]
    )


def test_another_currency_that_stays_starts_another_series_after_an_hour() -> None:
    quotes = [in_currency("GBP", "50.1", "49.9", minute) for minute in range(5, 80)]
    bars, alerts, _ = fold_batches([*IN_PENCE, *quotes, heartbeat(3 * 3600)], rules=RULES)
    assert [bar.close for bar in bars] == [5000] * 5 + [Decimal("50.1")] * 15
    assert alerts == []
    assert bars[5].indicators == {}
    assert bars[-1].indicators["sma_5"] == pytest.approx(50.1)


def test_a_quote_without_a_currency_belongs_to_the_series() -> None:
    bars = fold_batches([*IN_PENCE, in_currency(None, "5010", "4990", 6), heartbeat(3600)]).bars
    assert bars[-1].indicators["sma_5"] == 5002
