"""Turns a response of Yahoo's v7 quote endpoint into quotes. Pure.

Yahoo does not document the endpoint. Each rule here comes from recorded responses.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from producer_service.sources import Rejected
from quotes import MAX_CLOCK_SKEW, ROLLING_DAY, Invalid, Quote, price
from yahoo_requests import SOURCE
from yahoo_requests.json_values import MalformedResponse, document, is_number, optional_label, time_of

FIELDS = (
    "regularMarketPrice",
    "regularMarketTime",
    "regularMarketOpen",
    "regularMarketDayHigh",
    "regularMarketDayLow",
    "regularMarketPreviousClose",
    "regularMarketVolume",
    "currency",
    "exchange",
    "marketState",
    "exchangeDataDelayedBy",
    "quoteType",
)
"""The fields of a quote, and `quoteType`, which shows why a price is absent and what a volume counts. Requesting only
these makes a response ten times shorter."""

EXTENDED_FIELDS = ("preMarketPrice", "preMarketTime", "postMarketPrice", "postMarketTime")
"""The additional fields for prices before and after the regular session. Yahoo omits those that a symbol lacks."""

_OPTIONAL = {
    "regularMarketOpen": "open",
    "regularMarketDayHigh": "high",
    "regularMarketDayLow": "low",
    "regularMarketPreviousClose": "previous_close",
    "regularMarketVolume": "volume",
    "currency": "currency",
    "exchange": "exchange",
    "marketState": "market_state",
    "exchangeDataDelayedBy": "delay_minutes",
}
_MAX_VOLUME = 2**63 - 1
_MAX_DELAY_MINUTES = 7 * 24 * 60  # longer than any exchange's delay; `complete_to` must not go back arbitrarily far
_ROLLING_VOLUMES = ("CRYPTOCURRENCY", "CURRENCY")
"""The types whose volume is that of the last 24 hours. They trade around the clock, so no day of theirs begins."""
_TYPES_WITH_ACTIONS = ("EQUITY", "ETF", "MUTUALFUND")
_EXTENDED_SESSIONS = (("PRE", "preMarket"), ("POST", "postMarket"))


class ParsedResponse(msgspec.Struct, frozen=True):
    """The content of a response. Each requested symbol is in exactly one of the first three fields."""

    quotes: tuple[Quote, ...]
    rejected: tuple[Rejected, ...]
    missing: tuple[str, ...]
    with_actions: tuple[Quote, ...] = ()
    """The quotes of symbols that may have corporate actions: of shares and funds."""
    dropped_fields: int = 0
    """How many optional fields of the quotes are present and unusable."""

    @property
    def priced(self) -> tuple[str, ...]:
        """The symbols that have a price, usable or not."""
        return (*(quote.symbol for quote in self.quotes), *(rejected.symbol for rejected in self.rejected))

    def for_symbols(self, symbols: Collection[str]) -> ParsedResponse:
        """The part of this response that concerns some of the symbols."""
        return ParsedResponse(
            tuple(quote for quote in self.quotes if quote.symbol in symbols),
            tuple(rejected for rejected in self.rejected if rejected.symbol in symbols),
            tuple(symbol for symbol in self.missing if symbol in symbols),
            tuple(quote for quote in self.with_actions if quote.symbol in symbols),
            self.dropped_fields,
        )


def requested_fields(*, extended_hours: bool) -> tuple[str, ...]:
    """The fields to request."""
    return (*FIELDS, *EXTENDED_FIELDS) if extended_hours else FIELDS


def parse(body: bytes, symbols: Sequence[str], received: datetime, *, extended_hours: bool = False) -> ParsedResponse:
    """The quotes of the requested symbols. Letter case does not matter: a quote has the name that was requested.

    - A symbol is missing if the response omits it, or has it without a price. Yahoo shows delisted symbols in three
      ways: it omits them, it gives them `quoteType: NONE`, or it gives them a type and no price.
    - A symbol is rejected if its price or time is present and unusable.
    - An unusable optional field is absent from the quote, and counted.

    `received` is aware UTC in whole milliseconds. Raises `MalformedResponse` and nothing else, whatever the bytes.

    With `extended_hours` a quote has the newest of the symbol's prices: that of the regular session, or one from before
    or after it. In the latter case `market_state` is PRE or POST until a newer price appears. Yahoo's own state moves
    on to POSTPOST and CLOSED while the price stays; returning to the regular price then would be a step back in time.
    Open, high, low and volume stay those of the regular session. The previous close of a price from before the session
    is the close of the last session, to which Yahoo's `preMarketChange` refers too.
    """
    rows = _rows(body)
    quotes: list[Quote] = []
    rejected: list[Rejected] = []
    missing: list[str] = []
    with_actions: list[Quote] = []
    dropped_fields = 0
    for symbol in symbols:
        row = rows.get(symbol.upper())
        if row is None or row.get("regularMarketPrice") is None:
            missing.append(symbol)
            continue
        try:
            quotes.append(_quote(symbol, row, received, extended_hours=extended_hours))
        except Invalid as error:
            rejected.append(Rejected(symbol, str(error)))
            continue
        dropped_fields += _dropped_fields(row, quotes[-1])
        if row.get("quoteType") in _TYPES_WITH_ACTIONS:
            with_actions.append(quotes[-1])
    return ParsedResponse(tuple(quotes), tuple(rejected), tuple(missing), tuple(with_actions), dropped_fields)


def _dropped_fields(row: Mapping[str, Any], quote: Quote) -> int:
    """How many optional fields of a row say something that the quote does not hold. Zero and "" mean nothing."""
    return sum(bool(row.get(field)) and getattr(quote, name) is None for field, name in _OPTIONAL.items())


def _rows(body: bytes) -> dict[str, Mapping[str, Any]]:
    """The rows of a response by their symbol in capitals. Anything that is not a row is ignored."""
    match document(body):
        case {"quoteResponse": {"result": [*rows], **rest}} if rows or not rest.get("error"):
            named = (row for row in rows if isinstance(row, dict) and isinstance(row.get("symbol"), str))
            return {row["symbol"].upper(): row for row in named}
        case {"quoteResponse": {"error": {"code": code, "description": description}}} | {
            "finance": {"error": {"code": code, "description": description}}
        }:
            raise MalformedResponse(f"{code}: {description}")
    raise MalformedResponse("the body has no quoteResponse.result")


def _quote(symbol: str, row: Mapping[str, Any], received: datetime, *, extended_hours: bool) -> Quote:
    quote = _regular(symbol, row, received)
    if extended_hours:
        for state, field in _EXTENDED_SESSIONS:
            time, amount = _optional_time(row.get(f"{field}Time"), received), _optional_price(row.get(f"{field}Price"))
            if time is not None and amount is not None and time > quote.event_time:
                close = row["regularMarketPrice"] if state == "PRE" else row.get("regularMarketPreviousClose")
                quote = msgspec.structs.replace(
                    quote, event_time=time, price=amount, market_state=state, previous_close=_optional_price(close)
                )
    return quote


def _regular(symbol: str, row: Mapping[str, Any], received: datetime) -> Quote:
    volume = _optional_count(row.get("regularMarketVolume"), _MAX_VOLUME)
    is_rolling = volume is not None and row.get("quoteType") in _ROLLING_VOLUMES
    return Quote(
        symbol=symbol,
        event_time=time_of("regularMarketTime", row.get("regularMarketTime")),
        price=_price("regularMarketPrice", row["regularMarketPrice"]),
        source=SOURCE,
        ingest_time=received,
        open=_optional_price(row.get("regularMarketOpen")),
        high=_optional_price(row.get("regularMarketDayHigh")),
        low=_optional_price(row.get("regularMarketDayLow")),
        previous_close=_optional_price(row.get("regularMarketPreviousClose")),
        volume=volume,
        volume_period=ROLLING_DAY if is_rolling else None,
        currency=optional_label(row.get("currency")),
        exchange=optional_label(row.get("exchange")),  # the code is stable; the wording of fullExchangeName is not
        market_state=optional_label(row.get("marketState")),
        delay_minutes=_optional_count(row.get("exchangeDataDelayedBy"), _MAX_DELAY_MINUTES),
    )


def _optional_time(value: object, received: datetime) -> datetime | None:
    """A usable time of extended hours, or None. A time in the future is unusable, and the regular price is used."""
    try:
        time = time_of("", value)
    except Invalid:
        return None
    return time if time - received <= MAX_CLOCK_SKEW else None


def _price(field: str, value: object) -> Decimal:
    """A price other than zero. Yahoo writes zero for no price, as for the open of some indexes or a suspended share."""
    if not is_number(value):
        raise Invalid(field, f"{value!r:.40} is not a finite number")
    amount = price(value)
    if amount == 0:
        raise Invalid(field, "is 0, which Yahoo writes for no price")
    return amount


def _optional_price(value: object) -> Decimal | None:
    try:
        return _price("", value)
    except Invalid:
        return None


def _optional_count(value: object, most: int) -> int | None:
    if not is_number(value) or not 0 <= value <= most or value != int(value):
        return None
    return int(value)
