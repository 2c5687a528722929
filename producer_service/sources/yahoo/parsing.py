"""What an answer of Yahoo's v7 quote endpoint says, as quotes. Pure.

Yahoo documents none of this; each rule was read off recorded answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeGuard

import msgspec

from producer_service.sources import FailureReason, Rejected
from quotes import MAX_CLOCK_SKEW, Invalid, Quote, price

SOURCE = "yahoo"

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
"""What a quote is made of, and why a price may be absent. Asking for these alone makes an answer a tenth as long."""

EXTENDED_FIELDS = ("preMarketPrice", "preMarketTime", "postMarketPrice", "postMarketTime")
"""Beside those, for prices before and after the regular session. Yahoo leaves out what a symbol does not have."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_SECONDS = 2**33
_MAX_VOLUME = 2**63 - 1
_MAX_DELAY_MINUTES = 7 * 24 * 60  # complete_to counts on it, and a week is beyond any exchange's
_MAX_LABEL = 40
_SESSIONS = (("PRE", "preMarket"), ("POST", "postMarket"))


class Malformed(ValueError):
    """An answer that is not a list of quotes: an HTML page, half a document, an error in disguise."""


class Answer(msgspec.Struct, frozen=True):
    """What an answer says of the symbols that were asked for; each of them is in exactly one of the three."""

    quotes: tuple[Quote, ...]
    rejected: tuple[Rejected, ...]
    missing: tuple[str, ...]

    @property
    def present(self) -> tuple[str, ...]:
        """The symbols of which Yahoo has a price, usable or not."""
        return (*(quote.symbol for quote in self.quotes), *(rejected.symbol for rejected in self.rejected))


def fields(*, extended_hours: bool) -> tuple[str, ...]:
    """The fields to ask for."""
    return (*FIELDS, *EXTENDED_FIELDS) if extended_hours else FIELDS


def failure_of(status: int) -> FailureReason | None:
    """What an HTTP status means to a poll; None if the body is to be read."""
    match status:
        case 200:
            return None
        case 429 | 999:  # 999 is Yahoo's own, older than 429
            return "rate_limited"
        case 401 | 403:
            return "unauthorized"
        case _ if status >= 500:  # noqa: PLR2004  (HTTP's own)
            return "server_error"
        case _:
            return "malformed"


def parse(body: bytes, asked: Sequence[str], received: datetime, *, extended_hours: bool = False) -> Answer:
    """The quotes of the symbols asked for, under the names they were asked by, whatever case Yahoo answers in.

    A symbol is missing if it is not in the answer, or is there without a price (`quoteType: NONE`, or a type and no
    price: both are how Yahoo shows the delisted). It is rejected if its price or time is there and unusable. An
    optional field that is unusable is absent from its quote. `received` is aware UTC of whole milliseconds. Raises
    `Malformed`, and nothing else whatever the bytes.

    With `extended_hours` a quote has the newest of the symbol's prices by their own times, be it of the regular session
    or from before or after it; then `market_state` is PRE or POST, for as long as there is no newer one. (Yahoo's own
    state goes on to POSTPOST and CLOSED while the price stays; to go back to the regular one with it would be to go
    back in time.) Open, high, low and volume stay those of the regular session; the previous close of a price from
    before it is the close of the last one, against which Yahoo counts `preMarketChange` too.
    """
    rows = _rows(body)
    quotes: list[Quote] = []
    rejected: list[Rejected] = []
    missing: list[str] = []
    for symbol in asked:
        row = rows.get(symbol.upper())
        if row is None or row.get("regularMarketPrice") is None:
            missing.append(symbol)
            continue
        try:
            quotes.append(_quote(symbol, row, received, extended_hours=extended_hours))
        except Invalid as error:
            rejected.append(Rejected(symbol, str(error)))
    return Answer(tuple(quotes), tuple(rejected), tuple(missing))


def _rows(body: bytes) -> dict[str, Mapping[str, Any]]:
    """The rows of an answer by their symbol in capitals. A row that is not one is as if it were not there."""
    try:
        # The standard decoder, since it takes NaN and Infinity: one such price must not cost its 49 neighbours.
        document = json.loads(body, parse_float=_decimal, parse_constant=Decimal)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from error
    match document:
        case {"quoteResponse": {"result": [*rows]}}:
            named = (row for row in rows if isinstance(row, dict) and isinstance(row.get("symbol"), str))
            return {row["symbol"].upper(): row for row in named}
        case {"quoteResponse": {"error": {"code": code, "description": description}}} | {
            "finance": {"error": {"code": code, "description": description}}
        }:
            raise Malformed(f"{code}: {description}")
    raise Malformed("no quoteResponse.result")


def _quote(symbol: str, row: Mapping[str, Any], received: datetime, *, extended_hours: bool) -> Quote:
    quote = _regular(symbol, row, received)
    if extended_hours:
        for state, field in _SESSIONS:
            time, amount = _optional_time(row.get(f"{field}Time"), received), _optional_price(row.get(f"{field}Price"))
            if time is not None and amount is not None and time > quote.event_time:
                close = row["regularMarketPrice"] if state == "PRE" else row.get("regularMarketPreviousClose")
                quote = msgspec.structs.replace(
                    quote, event_time=time, price=amount, market_state=state, previous_close=_optional_price(close)
                )
    return quote


def _regular(symbol: str, row: Mapping[str, Any], received: datetime) -> Quote:
    return Quote(
        symbol=symbol,
        event_time=_time("regularMarketTime", row.get("regularMarketTime")),
        price=_price("regularMarketPrice", row["regularMarketPrice"]),
        source=SOURCE,
        ingest_time=received,
        open=_optional_price(row.get("regularMarketOpen")),
        high=_optional_price(row.get("regularMarketDayHigh")),
        low=_optional_price(row.get("regularMarketDayLow")),
        previous_close=_optional_price(row.get("regularMarketPreviousClose")),
        volume=_optional_count(row.get("regularMarketVolume"), _MAX_VOLUME),
        currency=_optional_label(row.get("currency")),
        exchange=_optional_label(row.get("exchange")),  # the code; fullExchangeName is for people, and gets reworded
        market_state=_optional_label(row.get("marketState")),
        delay_minutes=_optional_count(row.get("exchangeDataDelayedBy"), _MAX_DELAY_MINUTES),
    )


def _time(field: str, value: object) -> datetime:
    if not _is_number(value):
        raise Invalid(field, "is not said" if value is None else f"{value!r:.40} is not a number")
    if not 0 <= value < _MAX_SECONDS:
        raise Invalid(field, f"{value!r:.40} is not in seconds since 1970")
    return _EPOCH + timedelta(milliseconds=int(value * 1000))


def _optional_time(value: object, received: datetime) -> datetime | None:
    """A time that a quote received then may have: one in the future must not cost it the price of the session."""
    try:
        time = _time("", value)
    except Invalid:
        return None
    return time if time - received <= MAX_CLOCK_SKEW else None


def _price(field: str, value: object) -> Decimal:
    """A price that is not zero, since Yahoo writes zero for none: an index without an open, a suspended share."""
    if not _is_number(value):
        raise Invalid(field, f"{value!r:.40} is not a finite number")
    amount = price(value)
    if amount == 0:
        raise Invalid(field, "is 0, which is Yahoo's word for none")
    return amount


def _optional_price(value: object) -> Decimal | None:
    try:
        return _price("", value)
    except Invalid:
        return None


def _optional_count(value: object, most: int) -> int | None:
    if not _is_number(value) or not 0 <= value <= most or value != int(value):
        return None
    return int(value)


def _optional_label(value: object) -> str | None:
    """A text that the contract takes as a label."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or value != value.strip():
        return None
    return value if 0 < len(value) <= _MAX_LABEL else None


def _is_number(value: object) -> TypeGuard[int | Decimal]:
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, int) and not isinstance(value, bool)


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:  # an exponent of twenty digits
        return Decimal("NaN")
