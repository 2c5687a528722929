"""Quotes, heartbeats and corporate actions, and the invariants that every instance keeps. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation, Rounded
from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec

PRICE_PLACES = 26
"""The most decimal places of a price."""
MAX_PRICE = Decimal(10) ** 12
"""The absolute value of a price is smaller than this. So a price has at most 38 digits, as many as a number of DynamoDB
and Athena's `decimal(38,26)` hold."""
MAX_VOLUME = 2**63 - 1
"""The largest volume, and the largest of the other counts."""
ROLLING_DAY = "24h"
"""The `volume_period` of a volume of the last 24 hours."""
BACKFILL = "backfill"
"""The `provenance` of a quote that was added later from a history."""
REGULAR = "REGULAR"
"""The market state of a regular session, as Yahoo writes it."""
MAX_CLOCK_SKEW = timedelta(seconds=60)
"""How far a time may be ahead of the clock of the program that receives it."""
MAX_ACTION_LEAD = timedelta(days=7)
"""How long before it takes effect a corporate action may be sent."""

_SYMBOL = re.compile(r"[A-Za-z0-9.^=&$_:/+-]{1,32}", re.ASCII)
_LABEL = re.compile(r"[!-~](?:[ -~]{0,38}[!-~])?", re.ASCII)
_QUANTUM = Decimal(1).scaleb(-PRICE_PLACES)
_SHORT_DIGITS = 8
_EXACT = Context(prec=MAX_PRICE.adjusted() + PRICE_PLACES + 1)
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


def price(value: float | str | Decimal, field: str = "price") -> Decimal:
    """The exact decimal of a price as its source printed it, without exponent, trailing zeros or a negative zero.

    A float stands for its shortest decimal form (`repr`), because that is what the source sent. Nothing is rounded:
    raises `Invalid` if the value is not a finite number, has more than `PRICE_PLACES` places, or is not below
    `MAX_PRICE`. A price may be zero or negative, as interest rates and futures are; a source whose zero means "no
    price" has to leave it out.
    """
    if isinstance(value, bool) or (isinstance(value, str) and ("_" in value or not value.isascii())):
        raise Invalid(field, f"{value!s:.60} is not a number")  # `Decimal` would accept 1_000, and digits of any script
    try:
        number = Decimal(value if isinstance(value, str) else repr(value) if isinstance(value, float) else value)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise Invalid(field, f"{value!s:.60} is not a number") from error
    if not number.is_finite():
        raise Invalid(field, f"{value!s:.60} is not finite")
    if not -MAX_PRICE < number < MAX_PRICE:
        raise Invalid(field, f"{value!s:.60} is not below {MAX_PRICE:f}")
    # The text of a number with a large negative exponent may have megabytes.
    text = price_text(number) if not number or number.adjusted() >= -PRICE_PLACES else None
    if text is None or len(text.partition(".")[2]) > PRICE_PLACES:
        raise Invalid(field, f"{value!s:.60} has more than {PRICE_PLACES} decimal places")
    return Decimal(text)


def price_text(value: Decimal) -> str:
    """The canonical text of a finite price: no exponent, no trailing zeros, no negative zero."""
    if not value:
        return "0"
    text = f"{value:f}"
    return text.rstrip("0").removesuffix(".") if "." in text else text


def short_price(value: Decimal, *beside: Decimal | None) -> str:
    """A price for people, such as `13.40` or `60,123.457`. It is rounded to 8 digits, or to 2 places if it is larger.

    It has at least 2 places, unless it and all known prices `beside` it are whole. `beside` are other prices of the
    same symbol, such as those of the same bar: so a price of 170 dollars is `170.00`, and 2,500 yen are `2,500`.
    """
    places = min(max(_SHORT_DIGITS - 1 - value.adjusted(), 2), PRICE_PLACES)
    whole, _, fraction = price_text(value.quantize(Decimal(1).scaleb(-places), context=_EXACT)).partition(".")
    if any(each is not None and each != each.to_integral_value() for each in (value, *beside)):
        fraction = fraction.ljust(2, "0")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(digits):,}{'.' if fraction else ''}{fraction}"


class Quote(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a source said about one symbol at one moment.

    Times are aware UTC with whole milliseconds. Prices are exact decimals with at most 26 places and 12 digits before
    the point, in `currency`. A field is None if the source did not give it. Raises `Invalid`.
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
    source_time: datetime | None = None
    """The source's own time, if it is not `event_time`. A pushed quote may be newer than the time of its identity."""
    volume_period: str | None = None
    """What `volume` covers: None means the exchange's day so far, and `24h` the last 24 hours, which are no day."""
    provenance: str | None = None
    """How the quote came here: None means the live stream, and `backfill` a later correction from a history."""

    def __post_init__(self) -> None:  # noqa: C901  (these checks are a third of the CPU of decoding: few calls, no loop)
        _check_texts(self.symbol, self.source, self.currency, self.exchange, self.market_state)
        event_time, ingest_time = self.event_time, self.ingest_time
        if not (
            event_time.tzinfo is UTC is ingest_time.tzinfo
            and not event_time.microsecond % 1000
            and not ingest_time.microsecond % 1000
            and _EPOCH <= event_time <= ingest_time < _HORIZON
        ):
            _check_time("event_time", event_time)
            _check_time("ingest_time", ingest_time)
            if event_time - ingest_time > MAX_CLOCK_SKEW:
                raise Invalid("event_time", f"{event_time} is more than {MAX_CLOCK_SKEW} after ingest_time")
        try:
            has_prices = (
                _places(self.price, _QUANTUM).is_finite()
                and (self.open is None or _places(self.open, _QUANTUM).is_finite())
                and (self.high is None or _places(self.high, _QUANTUM).is_finite())
                and (self.low is None or _places(self.low, _QUANTUM).is_finite())
                and (self.previous_close is None or _places(self.previous_close, _QUANTUM).is_finite())
            )
        except ArithmeticError:
            has_prices = False
        if not has_prices:
            for name in ("price", "open", "high", "low", "previous_close"):
                _check_price(name, getattr(self, name))
        if self.revision:
            _check_count("revision", self.revision)
        if self.volume is not None:
            _check_count("volume", self.volume)
        if self.delay_minutes:
            _check_count("delay_minutes", self.delay_minutes)
        if self.source_time is not None:
            _check_time("source_time", self.source_time)
        if self.volume_period is not None and self.volume_period != ROLLING_DAY:
            raise Invalid("volume_period", f"{self.volume_period!r:.40} is not {ROLLING_DAY!r}")
        if self.provenance is not None and self.provenance != BACKFILL:
            raise Invalid("provenance", f"{self.provenance!r:.40} is not {BACKFILL!r}")

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


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """A corporate action: a split or a dividend of a symbol. It travels in the lane of its symbol, like a quote.

    Its identity is `(symbol, action, event_time)`. It may be sent again at any time, with the same effect. Raises
    `Invalid`.
    """

    symbol: str
    action: Literal["split", "dividend"]
    event_time: datetime
    """When it takes effect, usually the open of the ex-date. It may be up to `MAX_ACTION_LEAD` after `ingest_time`."""
    source: str
    ingest_time: datetime
    """When the producer received it."""
    numerator: int | None = None
    """The number of new shares for `denominator` old shares of a split, and None for a dividend."""
    denominator: int | None = None
    amount: Decimal | None = None
    """A dividend for each share, in `currency`. It is None for a split."""
    currency: str | None = None

    def __post_init__(self) -> None:
        if not is_symbol(self.symbol):
            raise Invalid("symbol", f"{self.symbol!r} is not 1 to 32 letters, digits or .^=&$_:/+-")
        _check_label("source", self.source)
        _check_label("currency", self.currency)
        _check_time("event_time", self.event_time)
        _check_time("ingest_time", self.ingest_time)
        if self.event_time - self.ingest_time > MAX_ACTION_LEAD:
            raise Invalid("event_time", f"{self.event_time} is more than {MAX_ACTION_LEAD} after ingest_time")
        if self.action == "split":
            self._check_split()
        elif self.action == "dividend":
            self._check_dividend()
        else:
            raise Invalid("action", f"{self.action!r:.40} is not split or dividend")

    def _check_split(self) -> None:
        for field, shares in (("numerator", self.numerator), ("denominator", self.denominator)):
            if shares is None or not 0 < shares <= MAX_VOLUME:
                raise Invalid(field, f"of a split is {shares}, but must be a positive number of shares")
        if self.amount is not None or self.currency is not None:
            raise Invalid("amount", "and currency belong to a dividend, not to a split")

    def _check_dividend(self) -> None:
        if self.numerator is not None or self.denominator is not None:
            raise Invalid("numerator", "and denominator belong to a split, not to a dividend")
        _check_price("amount", self.amount)
        if self.amount is None or self.amount <= 0:
            raise Invalid("amount", f"of a dividend is {self.amount}, but must be positive")


Line = Quote | Heartbeat | Action
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
        raise Invalid(field, f"{value} is not finite")
    if not -MAX_PRICE < value < MAX_PRICE:
        raise Invalid(field, f"{value!s:.60} is not below {MAX_PRICE:f}")
    try:
        _places(value, _QUANTUM)
    except ArithmeticError as error:
        raise Invalid(field, f"{value!s:.60} has more than {PRICE_PLACES} decimal places") from error


def _check_count(field: str, count: int) -> None:
    if not 0 <= count <= MAX_VOLUME:
        raise Invalid(field, f"{count} is not between 0 and 2**63 - 1")


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
