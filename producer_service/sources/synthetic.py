"""A simulated market as a source. It is always open and needs no network, and a seed decides every price."""

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
from quotes import MAX_CLOCK_SKEW, REGULAR, Invalid, Quote, whole_milliseconds

SOURCE = "synthetic"
EXCHANGE = "SYN"
CURRENCY = "USD"

SYMBOLS = (
    *("AAPL", "AMD", "AMZN", "BAC", "BRK-B", "CSCO", "DIS", "GOOG", "INTC", "JNJ", "JPM", "KO"),
    *("MA", "META", "MSFT", "NFLX", "NVDA", "ORCL", "PFE", "QQQ", "SPY", "TSLA", "V", "WMT"),
)
"""The symbols that are simulated if the user names none."""

SESSION_SECONDS = 600.0

_START_CENTS = (1_000, 60_000)
_MIN_CENTS, _MAX_CENTS = 1.0, 1e9
_SESSION_VOLATILITY = (0.004, 0.015)
"""The standard deviation of a session's return, from calm to lively symbols. Jumps are much larger."""
_GAP, _MAX_GAP = 0.006, 0.02
_SECONDS_BETWEEN_JUMPS = 160.0
_JUMP = (0.06, 0.09)
"""The size of a jump, as a move from the previous close. It exceeds the 5 % that the default rules alert on."""
_AWAY = 0.04
_SECONDS_BETWEEN_SILENCES = 90.0
_SILENCE_SECONDS = (3.0, 8.0)
_SHARES_A_SECOND = (10.0, 2_000.0)


class SyntheticSource:
    """Simulates any symbols. The quotes of a symbol depend only on the seed, the symbol and the times of the fetches.

    Prices are geometric random walks with a tick of 0.01, each with its own volatility. Now and then a price jumps more
    than 5 % away from its previous close, and its next jump leads back. The times of the jumps depend only on the seed
    and the time since the first fetch. Sessions of `session_seconds` begin with the first fetch. At the end of a
    session, the last price becomes the previous close, the next session opens with a gap, and the day's open, high, low
    and volume start again. Now and then a symbol is silent for some seconds: its last quote is delivered again, as by
    any source that has no news.
    """

    traits = SourceTraits(is_live=True)
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
    description="a seeded market",
    prices="simulated prices",
    settings=SyntheticSettings,
    needs_symbols=False,
    open=_open,
)


class _Market:
    """The simulation of one symbol. Times are seconds since the source's first fetch, and amounts unrounded cents."""

    def __init__(self, symbol: str, seed: int, session_seconds: float) -> None:
        self._symbol = symbol
        self._session_seconds = session_seconds
        self._chance = Random(f"{seed}/{symbol}")  # noqa: S311  (no secret depends on it)
        # A generator of its own, so that the times of the jumps do not depend on how often the symbol is fetched.
        self._jumps = Random(f"{seed}/{symbol}/jumps")  # noqa: S311
        self._amount = math.exp(self._chance.uniform(math.log(_START_CENTS[0]), math.log(_START_CENTS[1])))
        self._volatility = self._chance.uniform(*_SESSION_VOLATILITY) / math.sqrt(session_seconds)
        self._shares_a_second = self._chance.uniform(*_SHARES_A_SECOND)
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
            currency=CURRENCY,
            exchange=EXCHANGE,
            market_state=REGULAR,
            delay_minutes=0,
        )
        return self._last

    def _open_session(self, seconds: float) -> Decimal:
        self._seconds = seconds
        self._session_end = (seconds // self._session_seconds + 1) * self._session_seconds
        self._previous_amount = self._amount
        self._previous_close = _dollars(self._amount)
        self._change(1 + max(-_MAX_GAP, min(_MAX_GAP, self._chance.gauss(0, _GAP))))
        price = self._open = self._high = self._low = _dollars(self._amount)
        self._volume = 0
        return price

    def _step(self, seconds: float) -> Decimal:
        elapsed, self._seconds = seconds - self._seconds, seconds
        self._change(math.exp(self._chance.gauss(0, self._volatility * math.sqrt(elapsed))))
        if seconds >= self._jump_at:
            self._jump(seconds)
        price = _dollars(self._amount)
        if price > self._high:
            self._high = price
        elif price < self._low:
            self._low = price
        self._volume += int(2 * self._chance.random() * self._shares_a_second * elapsed)
        return price

    def _jump(self, seconds: float) -> None:
        missed = max(
            self._jump_at, seconds - _SECONDS_BETWEEN_JUMPS
        )  # a symbol that was not fetched for long does not make up for all its jumps
        self._jump_at = missed + self._jumps.expovariate(1 / _SECONDS_BETWEEN_JUMPS)
        is_away = abs(self._amount / self._previous_amount - 1) > _AWAY
        move = self._jumps.choice((-1, 1)) * self._jumps.uniform(*_JUMP)
        self._amount = self._previous_amount
        self._change(1 if is_away else 1 + move)

    def _is_silent(self, seconds: float) -> bool:
        if seconds >= self._silent_to:
            self._silent_from = seconds + self._chance.expovariate(1 / _SECONDS_BETWEEN_SILENCES)
            self._silent_to = self._silent_from + self._chance.uniform(*_SILENCE_SECONDS)
        return seconds >= self._silent_from

    def _change(self, factor: float) -> None:
        self._amount = min(max(self._amount * factor, _MIN_CENTS), _MAX_CENTS)


def _dollars(amount: float) -> Decimal:
    return Decimal(round(amount)) / 100
