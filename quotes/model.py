"""Quotes and heartbeats, and the invariants that every instance keeps. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation, Rounded
from functools import lru_cache
from typing import NamedTuple

import msgspec

PRICE_PLACES = 8
"""The most decimal places of a price."""
MAX_PRICE = Decimal(10) ** 15
"""The absolute value of a price is smaller than this."""
MAX_VOLUME = 2**63 - 1
"""The largest volume, and the largest of the other counts."""
REGULAR = "REGULAR"
"""The market state of a regular session, as Yahoo writes it."""
MAX_CLOCK_SKEW = timedelta(seconds=60)
"""How far a time may be ahead of the clock of the program that receives it."""

_SYMBOL = re.compile(r"[A-Za-z0-9.^=&$_:/+-]{1,32}", re.ASCII)
_LABEL = re.compile(r"[!-~](?:[ -~]{0,38}[!-~])?", re.ASCII)
_QUANTUM = Decimal(1).scaleb(-PRICE_PLACES)
_places = Context(prec=MAX_PRICE.adjusted() + PRICE_PLACES, traps=[InvalidOperation, Inexact, Rounded]).quantize
"""Raises if a number is too large or has too many places. Looking at `as_tuple` takes three times as long."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HORIZON = datetime(2200, 1, 1, tzinfo=UTC)


class Invalid(ValueError):
    """A value that a quote or heartbeat must not hold. The message names the field and the problem."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}")
        self.field = field


class Identity(NamedTuple):
    """The key of a quote. Identities sort by symbol, and those of a symbol in the order of its quotes."""

    symbol: str
    event_time: datetime
    revision: int


def is_symbol(text: str) -> bool:
    """Whether a text can be a symbol: 1 to 32 letters, digits or .^=&$_:/+-, the characters of Yahoo's symbols."""
    return _SYMBOL.fullmatch(text) is not None


def price(value: float | str | Decimal) -> Decimal:
    """The exact decimal of a price as its source printed it: at most 8 places, no trailing zeros, no exponent.

    A float stands for its shortest decimal form (`repr`), because that is what the source sent. Raises `Invalid` if the
    value is not a finite number of an absolute value below 10**15.
    """
    if isinstance(value, bool):
        raise Invalid("price", f"{value!r} is not a number")
    try:
        number = Decimal(value if isinstance(value, str) else repr(value) if isinstance(value, float) else value)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise Invalid("price", f"{value!r} is not a number") from error
    if not number.is_finite() or abs(number) >= MAX_PRICE:
        raise Invalid("price", f"{value!r} is not finite and below {MAX_PRICE:f}")
    number = number.quantize(_QUANTUM, ROUND_HALF_EVEN).normalize() + 0  # adding 0 makes a negative zero positive
    return number.quantize(Decimal(1)) if number.as_tuple().exponent > 0 else number  # type: ignore[operator]  # finite


class Quote(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a source said about one symbol at one moment.

    Times are aware UTC with whole milliseconds. Prices are exact decimals with at most 8 places, in `currency`. The
    volume is cumulative for the exchange's day. A field is None if the source did not give it. Raises `Invalid`.
    """

    symbol: str
    event_time: datetime
    """The exchange's time of the quote."""
    revision: int = 0
    """Numbers the different contents that the source gave for one symbol and event time, from 0."""
    price: Decimal
    source: str
    ingest_time: datetime
    """When the producer received it."""
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    previous_close: Decimal | None = None
    volume: int | None = None
    currency: str | None = None
    exchange: str | None = None
    market_state: str | None = None
    delay_minutes: int | None = None

    def __post_init__(self) -> None:
        # Written without loops, because these checks are half of the CPU of decoding a line.
        _check_texts(self.symbol, self.source, self.currency, self.exchange, self.market_state)
        _check_time("event_time", self.event_time)
        _check_time("ingest_time", self.ingest_time)
        if self.event_time - self.ingest_time > MAX_CLOCK_SKEW:
            raise Invalid("event_time", f"{self.event_time} is more than {MAX_CLOCK_SKEW} after ingest_time")
        _check_price("price", self.price)
        _check_price("open", self.open)
        _check_price("high", self.high)
        _check_price("low", self.low)
        _check_price("previous_close", self.previous_close)
        if not 0 <= self.revision <= MAX_VOLUME:
            raise Invalid("revision", f"{self.revision} is not a count")
        if self.volume is not None and not 0 <= self.volume <= MAX_VOLUME:
            raise Invalid("volume", f"{self.volume} is not between 0 and 2**63 - 1")
        if self.delay_minutes is not None and not 0 <= self.delay_minutes <= MAX_VOLUME:
            raise Invalid("delay_minutes", f"{self.delay_minutes} is not a count of minutes")

    @property
    def identity(self) -> Identity:
        """The key by which everything downstream is idempotent."""
        return Identity(self.symbol, self.event_time, self.revision)

    @property
    def session(self) -> str:
        """The UTC day on the producer's clock if the source says that the market is open, otherwise an empty string.

        The same content is news in another session: the market has opened, and nothing was traded yet.
        """
        return self.ingest_time.date().isoformat() if self.market_state == REGULAR else ""


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """A line that says that the producer is alive and how far a lane is complete. Each lane gets one a minute.

    Raises `Invalid`.
    """

    lane: str
    """The partition key of the lane, `lane-03-of-16`."""
    clock: datetime
    """The producer's clock."""
    complete_to: datetime | None = None
    """All quotes of this lane with an earlier event time have been sent. None before the first completed poll."""

    def __post_init__(self) -> None:
        _check_label("lane", self.lane)
        _check_time("clock", self.clock)
        if self.complete_to is not None:
            _check_time("complete_to", self.complete_to)
            if self.complete_to - self.clock > MAX_CLOCK_SKEW:
                raise Invalid("complete_to", f"{self.complete_to} is more than {MAX_CLOCK_SKEW} after clock")


Line = Quote | Heartbeat
"""The content of one line of a packet."""


def _check_time(field: str, time: datetime) -> None:
    if time.tzinfo is not UTC:
        raise Invalid(field, f"{time} is not in UTC")
    if time.microsecond % 1000:
        raise Invalid(field, f"{time} is not in whole milliseconds")
    if not _EPOCH <= time < _HORIZON:
        raise Invalid(field, f"{time} is not between {_EPOCH:%Y} and {_HORIZON:%Y}")


def _check_price(field: str, value: Decimal | None) -> None:
    if value is None:
        return
    if not value.is_finite():
        raise Invalid(field, f"{value!r} is not a finite decimal")
    try:
        _places(value, _QUANTUM)
        if not value and value.as_tuple().exponent < -PRICE_PLACES:  # type: ignore[operator]  # an int, as it is finite
            raise Inexact  # `quantize` raises it for every number but zero
    except ArithmeticError as error:
        if -MAX_PRICE < value < MAX_PRICE:
            raise Invalid(field, f"{value!r} has more than {PRICE_PLACES} places") from error
        raise Invalid(field, f"{value!r} is not below {MAX_PRICE:f}") from error


# A symbol's texts are the same all day, and a cache hit takes a tenth of the time of the checks. A text that is refused
# raises, so it is not cached.
@lru_cache(maxsize=16_384)
def _check_texts(
    symbol: str, source: str, currency: str | None, exchange: str | None, market_state: str | None
) -> None:
    if not is_symbol(symbol):
        raise Invalid("symbol", f"{symbol!r} is not 1 to 32 letters, digits or .^=&$_:/+-")
    _check_label("source", source)
    _check_label("currency", currency)
    _check_label("exchange", exchange)
    _check_label("market_state", market_state)


def _check_label(field: str, text: str | None) -> None:
    if text is not None and _LABEL.fullmatch(text) is None:
        raise Invalid(field, f"{text!r} is not 1 to 40 printable characters")
