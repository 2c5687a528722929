"""A simulated market as a source. It is always open and needs no network, and a seed decides every price.

Prices, volumes, currencies and exchanges look like those of the symbols, and are simulated. The `source` of each quote
says so: it is `synthetic`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from producer_service.errors import ConfigurationError
from producer_service.sources import FetchResult, PolledSource, Rejected, SourceTraits
from producer_service.sources.definition import SourceDefinition, SourceSettings
from producer_service.sources.synthetic_instruments import instrument_of
from quotes import MAX_CLOCK_SKEW, REGULAR, Invalid, Quote, whole_milliseconds
from watchlist import SYNTHETIC_SYMBOLS
from watchlist.symbol_names import yahoo_hint

SOURCE = "synthetic"

SYMBOLS = SYNTHETIC_SYMBOLS
"""The symbols that are simulated if the user names none."""

SESSION_SECONDS = 600.0

_START_DEVIATION = 0.02
"""How far a price starts from the usual one of its symbol: a standard deviation, as a part of it."""
_MAX_PRICE = 1e9
_RETURN, _PULL = 0.1, 4.0
"""How strongly gaps and jumps lead a price back to the usual one, so that prices stay plausible for days."""
_SESSION_VOLATILITY = (0.004, 0.015)
"""The standard deviation of a session's return, from calm to lively symbols. Jumps are much larger."""
_GAP, _MAX_GAP = 0.006, 0.02
_SECONDS_BETWEEN_JUMPS = 160.0
_JUMP = (0.06, 0.09)
"""The size of a jump, as a move from the previous close. It exceeds the 5 % that the default rules alert on."""
_AWAY = 0.04
_SECONDS_BETWEEN_SILENCES = 90.0
_SILENCE_SECONDS = (3.0, 8.0)
_VOLUME = (0.7, 1.3)
"""The volume of a session, as a part of the usual one."""


class SyntheticSource:
    """Simulates any symbols. The quotes of a symbol depend only on the seed, the symbol and the times of the fetches.

    Prices are geometric random walks around the usual price of the symbol, each with its own volatility: see
    `synthetic_instruments`. Now and then the price of a share jumps more than 5 % away from its previous close, and its
    next jump leads back. Other instruments jump less. The times of the jumps depend only on the seed and the time since
    the first fetch. Sessions of `session_seconds` begin with the first fetch. At the end of a
    session, the last price becomes the previous close, the next session opens with a gap, and the day's open, high, low
    and volume start again. Now and then a symbol is silent for some seconds: its last quote is delivered again, as by
    any source that has no news.
    """

    traits = SourceTraits(is_live=True, hint=yahoo_hint)
    symbols: tuple[str, ...] = SYMBOLS

    def __init__(self, *, seed: int = 1, session_seconds: float = SESSION_SECONDS) -> None:
        if not 0 < session_seconds < math.inf:
            raise ConfigurationError([f"{session_seconds} is not a length of a session in seconds"])
        self._seed = seed
        self._session_seconds = session_seconds
        self._start: datetime | None = None
        self._fetched_at: datetime | None = None
        self._markets: dict[str, _Market] = {}

    def fetch(self, symbols: Sequence[str], now: datetime) -> FetchResult:
        """Return a quote of each symbol at this moment, or its last quote if the clock did not advance."""
        now = whole_milliseconds(now)
        self._start = self._start or now
        self._fetched_at = max(self._fetched_at or now, now)
        if self._fetched_at - now > MAX_CLOCK_SKEW:
            self._start -= self._fetched_at - now  # the clock was set back, and the market goes on
            self._fetched_at = now
        seconds = (now - self._start).total_seconds()
        quotes: list[Quote] = []
        rejected: list[Rejected] = []
        for symbol in symbols:
            market = self._markets.get(symbol)
            if market is None:
                market = self._markets[symbol] = _Market(symbol, self._seed, self._session_seconds)
            try:
                quotes.append(market.quote(seconds, now))
            except Invalid as error:
                rejected.append(Rejected(symbol, str(error)))
        return FetchResult(quotes=tuple(quotes), rejected=tuple(rejected), complete_to=now)

    def close(self) -> None:
        """There is nothing to release."""


class SyntheticSettings(SourceSettings):
    """Which market to simulate."""

    model_config = SettingsConfigDict(env_prefix="PRODUCER_SYNTHETIC_")

    seed: int = Field(1, description="seed of the simulated market; the same seed makes the same market")


def _open(settings: SyntheticSettings, symbols: tuple[str, ...]) -> PolledSource:  # noqa: ARG001  (each fetch names them)
    return SyntheticSource(seed=settings.seed)


DEFINITION = SourceDefinition(
    name="synthetic",
    description="a simulated market",
    prices="simulated prices",
    settings=SyntheticSettings,
    needs_symbols=False,
    open=_open,
)


class _Market:
    """The simulation of one symbol. Times are seconds since the source's first fetch, and amounts unrounded prices."""

    def __init__(self, symbol: str, seed: int, session_seconds: float) -> None:
        self._symbol = symbol
        self._session_seconds = session_seconds
        self._chance = Random(f"{seed}/{symbol}")  # noqa: S311  (no secret depends on it)
        # A generator of its own, so that the times of the jumps do not depend on how often the symbol is fetched.
        self._jumps = Random(f"{seed}/{symbol}/jumps")  # noqa: S311
        self._instrument = instrument = instrument_of(symbol)
        self._ticks = int(10**instrument.places)
        self._amount = instrument.price * (1 + self._chance.gauss(0, _START_DEVIATION * instrument.liveliness))
        self._volatility = (
            self._chance.uniform(*_SESSION_VOLATILITY) * instrument.liveliness / math.sqrt(session_seconds)
        )
        self._volume_a_second = instrument.daily_volume * self._chance.uniform(*_VOLUME) / session_seconds
        self._jump_at = self._jumps.expovariate(1 / _SECONDS_BETWEEN_JUMPS)
        self._silent_from = self._silent_to = 0.0
        self._session_end = -math.inf
        self._seconds = 0.0
        self._last: Quote | None = None

    def quote(self, seconds: float, now: datetime) -> Quote:
        """The quote at a time, which both arguments give. Raises `Invalid` if the symbol is not valid."""
        if self._last is not None and (
            timedelta() <= self._last.event_time - now <= MAX_CLOCK_SKEW or self._is_silent(seconds)
        ):
            return self._last
        price = self._open_session(seconds) if seconds >= self._session_end else self._step(seconds)
        self._last = Quote(
            symbol=self._symbol,
            event_time=now,
            price=price,
            source=SOURCE,
            ingest_time=now,
            open=self._open,
            high=self._high,
            low=self._low,
            previous_close=self._previous_close,
            volume=self._volume,
            currency=self._instrument.currency,
            exchange=self._instrument.exchange,
            market_state=REGULAR,
            delay_minutes=0,
        )
        return self._last

    def _open_session(self, seconds: float) -> Decimal:
        self._seconds = seconds
        self._session_end = (seconds // self._session_seconds + 1) * self._session_seconds
        self._previous_amount = self._amount
        self._previous_close = self._price()
        gap = self._chance.gauss(0, _GAP) * self._instrument.liveliness
        gap -= _RETURN * math.log(self._amount / self._instrument.price)
        self._change(1 + max(-_MAX_GAP, min(_MAX_GAP, gap)))
        price = self._open = self._high = self._low = self._price()
        self._volume = 0
        return price

    def _step(self, seconds: float) -> Decimal:
        elapsed, self._seconds = seconds - self._seconds, seconds
        self._change(math.exp(self._chance.gauss(0, self._volatility * math.sqrt(elapsed))))
        if seconds >= self._jump_at:
            self._jump(seconds)
        price = self._price()
        if price > self._high:
            self._high = price
        elif price < self._low:
            self._low = price
        self._volume += int(2 * self._chance.random() * self._volume_a_second * elapsed)
        return price

    def _jump(self, seconds: float) -> None:
        missed = max(
            self._jump_at, seconds - _SECONDS_BETWEEN_JUMPS
        )  # a symbol that was not fetched for long does not make up for all its jumps
        self._jump_at = missed + self._jumps.expovariate(1 / _SECONDS_BETWEEN_JUMPS)
        liveliness = self._instrument.liveliness
        is_away = abs(self._amount / self._previous_amount - 1) > _AWAY * liveliness
        # The further the price is from the usual one, the likelier is a jump towards it.
        distance = math.log(self._previous_amount / self._instrument.price) / liveliness
        direction = 1 if self._jumps.random() < 1 / 2 - _PULL * distance else -1
        move = direction * self._jumps.uniform(*_JUMP) * liveliness
        self._amount = self._previous_amount
        self._change(1 if is_away else 1 + move)

    def _is_silent(self, seconds: float) -> bool:
        if seconds >= self._silent_to:
            self._silent_from = seconds + self._chance.expovariate(1 / _SECONDS_BETWEEN_SILENCES)
            self._silent_to = self._silent_from + self._chance.uniform(*_SILENCE_SECONDS)
        return seconds >= self._silent_from

    def _change(self, factor: float) -> None:
        self._amount = min(max(self._amount * factor, 1 / self._ticks), _MAX_PRICE)

    def _price(self) -> Decimal:
        return Decimal(round(self._amount * self._ticks)) / self._ticks
