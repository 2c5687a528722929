"""Turns a response of Yahoo's v8 chart endpoint into corporate actions: splits and dividends. Pure.

The chart of a symbol declares them beside its bars, for the range of the request:

    "events": {"splits": {"1598880600": {"date": 1598880600, "numerator": 4, "denominator": 1, "splitRatio": "4:1"}},
               "dividends": {"1604673000": {"amount": 0.205, "date": 1604673000}}}
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from msgspec.structs import replace

from quotes import MAX_CLOCK_SKEW, Action, Invalid, price
from yahoo_requests import SOURCE
from yahoo_requests.chart_body import chart_of
from yahoo_requests.json_values import MalformedResponse, is_number, optional_label, time_of
from yahoo_requests.split_ratios import SplitRatios, undivided

PARAMETERS = {"range": "5d", "interval": "1d", "events": "div,split"}
"""Five trading days, so that a request or two may fail. Each symbol is asked on each of them."""
MAX_AGE = timedelta(days=31)
"""Older actions are left out. Five days of a share that hardly trades, or is suspended, may reach far back."""

_KINDS = {"splits": "split", "dividends": "dividend"}


class ParsedActions(msgspec.Struct, frozen=True):
    """The actions that a response declares."""

    actions: tuple[Action, ...]
    """In the order of their times. No two of them have the same identity."""
    rejected: tuple[str, ...]
    """Why each action was rejected that is in a form that no action may have."""
    ask_again_at: datetime | None = None
    """When the first action takes effect that was rejected because it is in the future."""


def parse_actions(body: bytes, symbol: str, received: datetime) -> ParsedActions:
    """The actions of a symbol. `received` is aware UTC in whole milliseconds.

    Raises `MalformedResponse` and nothing else, whatever the bytes.
    """
    return actions_of(chart_of(body, symbol), symbol, received, oldest=received - MAX_AGE)


def actions_of(
    chart: Mapping[str, Any], symbol: str, received: datetime, *, oldest: datetime, splits: Iterable[Action] = ()
) -> ParsedActions:
    """The actions that a chart declares, from the time `oldest` on. `received` is aware UTC in whole milliseconds.

    Yahoo divides a dividend by the ratio of each split after it. The splits that the chart declares, and the `splits`
    that are known from elsewhere, are undone. So a dividend is what was paid for a share of its time.

    An action is rejected if a value of it is missing or unusable, if it takes effect in the future, or if it is the
    second of its kind at the same time. Raises `MalformedResponse` if the events are no object.
    """
    found: dict[tuple[str, datetime], Action] = {}
    rejected: list[str] = []
    future: list[datetime] = []
    events = chart.get("events") or {}
    if not isinstance(events, dict):
        raise MalformedResponse(f"the events {events!r:.40} are not an object")
    currency = chart["meta"].get("currency")
    for kind, declared in _declared(events):
        try:
            event = _object(declared)
            time = time_of("date", event.get("date"))
            if time < oldest:
                continue
            if time - received > MAX_CLOCK_SKEW:
                future.append(time)
            common = {"symbol": symbol, "event_time": time, "source": SOURCE, "ingest_time": received}
            action = _split(event, common) if kind == "split" else _dividend(event, common, currency)
            _check_new(action, found, received)
        except Invalid as error:
            rejected.append(f"{kind}: {error}")
        else:
            found[kind, time] = action
    ratios = SplitRatios((*found.values(), *splits), received)
    actions: list[Action] = []
    for action in sorted(found.values(), key=lambda each: each.event_time):
        try:
            actions.append(_as_paid(action, ratios))
        except Invalid as error:
            rejected.append(f"{action.action}: {error}")
    return ParsedActions(tuple(actions), tuple(rejected), min(future, default=None))


def _as_paid(action: Action, ratios: SplitRatios) -> Action:
    """An action without the splits after it. Raises `Invalid` if that makes a dividend that no price can have."""
    if action.amount is None:
        return action
    return replace(action, amount=price(undivided(action.amount, ratios.after(action.event_time))))


def _declared(events: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """The events of the kinds that are actions, each with its kind."""
    for name, kind in _KINDS.items():
        declared = events.get(name) or {}
        for event in declared.values() if isinstance(declared, dict) else [declared]:
            yield kind, event


def _object(event: object) -> Mapping[str, Any]:
    if not isinstance(event, dict):
        raise Invalid("event", f"{event!r:.40} is not an object")
    return event


def _check_new(action: Action, found: Container[tuple[str, datetime]], received: datetime) -> None:
    if action.event_time - received > MAX_CLOCK_SKEW:
        raise Invalid("date", f"{action.event_time} is in the future")
    if (action.action, action.event_time) in found:
        raise Invalid("date", f"{action.event_time} is that of another {action.action}")


def _split(event: Mapping[str, Any], common: Mapping[str, Any]) -> Action:
    return Action(
        action="split",
        numerator=_shares("numerator", event.get("numerator")),
        denominator=_shares("denominator", event.get("denominator")),
        **common,
    )


def _dividend(event: Mapping[str, Any], common: Mapping[str, Any], currency: object) -> Action:
    amount = event.get("amount")
    if not is_number(amount):
        raise Invalid("amount", f"{amount!r:.40} is not a finite number")
    label = optional_label(event.get("currency")) or optional_label(currency)
    return Action(action="dividend", amount=price(amount), currency=label, **common)


def _shares(field: str, value: object) -> int:
    """A number of shares. Yahoo writes some of them as 4.0."""
    if not is_number(value) or (isinstance(value, Decimal) and not (abs(value) < 2**63 and value == int(value))):
        raise Invalid(field, "is missing" if value is None else f"{value!r:.40} is not a whole number of shares")
    return int(value)
