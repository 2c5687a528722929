"""The trades of a session: prices, running high and low, and cumulative volume, generated as far as they are needed."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from functools import lru_cache

import msgspec

from tests.fakes.yahoo.instruments import Instrument
from tests.fakes.yahoo.prices import MINUTE, PricePath, Prices
from tests.fakes.yahoo.sessions import Session, last_session, session_before

_CACHED_TAPES = 2_048
_SAMPLE_SECONDS = 600


class DayStatistics(msgspec.Struct, frozen=True):
    """A session up to its last trade."""

    time: int
    """The time of the last trade."""
    open: float
    high: float
    low: float
    price: float
    volume: int


class Bar(msgspec.Struct, frozen=True):
    """The trades of some minutes."""

    start: int
    open: float
    high: float
    low: float
    close: float
    volume: int


class Tape:
    """The trades of one instrument in one session, at fixed intervals from its start to its end.

    Volume is higher near the open and the close, as on exchanges.
    """

    def __init__(self, path: PricePath, instrument: Instrument, session: Session) -> None:
        self._path = path
        self._instrument = instrument
        self._session = session
        self._step = instrument.trade_seconds
        self._trades = (session.end - session.start) // self._step + 1
        self._prices = array("d")
        self._highs = array("d")
        self._lows = array("d")
        self._volumes = array("q")
        """Cumulative."""

    def statistics(self, now: float) -> DayStatistics:
        """The session up to a time, which must not be before its start."""
        last = self._generate(now)
        return DayStatistics(
            self._session.start + last * self._step,
            self._prices[0],
            self._highs[last],
            self._lows[last],
            self._prices[last],
            self._volumes[last],
        )

    def bars(self, now: float, seconds: int = MINUTE) -> Iterator[Bar | int]:
        """The bars of this many seconds up to now. Where there was no trade, only the start of the bar."""
        last = self._generate(now)
        start, end = self._session.start, min(self._session.end, int(now) + 1)
        for first in range(start, end, seconds):
            begin = -(-(first - start) // self._step)
            stop = min(-(-(first + seconds - start) // self._step), last + 1)
            if first + seconds >= self._session.end:
                stop = last + 1  # the trade at the close belongs to the last bar
            prices = self._prices[begin:stop]
            if not prices:
                yield first
                continue
            before = self._volumes[begin - 1] if begin else 0
            volume = self._volumes[stop - 1] - before
            yield Bar(first, prices[0], max(prices), min(prices), prices[-1], volume)

    def _generate(self, now: float) -> int:
        """Generate the trades up to now, and return the number of the last."""
        last = min(int(now - self._session.start) // self._step, self._trades - 1)
        for number in range(len(self._prices), last + 1):
            price = self._path.at(self._session.start + number * self._step)
            self._prices.append(price)
            self._highs.append(max(price, self._highs[-1]) if number else price)
            self._lows.append(min(price, self._lows[-1]) if number else price)
            self._volumes.append((self._volumes[-1] if number else 0) + self._size(number))
        return last

    def _size(self, number: int) -> int:
        if not self._instrument.daily_volume:
            return 0
        progress = number / self._trades
        time_of_day = 0.5 + 6 * (progress - 0.5) ** 2  # 1 on average
        chance = abs(self._path.chance(number)) + 0.2  # 1 on average
        return max(1, int(self._instrument.daily_volume / self._trades * time_of_day * chance))


class Tapes:
    """The tapes of all instruments, and the closes of their sessions."""

    def __init__(self, prices: Prices) -> None:
        self.path = prices.path
        self.tape = lru_cache(maxsize=_CACHED_TAPES)(self._new_tape)
        self.closes = lru_cache(maxsize=65_536)(self._closes)
        self.ended = lru_cache(maxsize=65_536)(self._ended)

    def _new_tape(self, instrument: Instrument, session: Session) -> Tape:
        return Tape(self.path(instrument), instrument, session)

    def today(self, instrument: Instrument, now: float) -> tuple[Session, DayStatistics]:
        """The last session that has started, and its trades up to now."""
        session = last_session(instrument.market, now)
        return session, self.tape(instrument, session).statistics(now)

    def previous_close(self, instrument: Instrument, session: Session) -> float:
        """The close of the session before this one."""
        return self._close(instrument, session_before(instrument.market, session.day))

    def _closes(self, instrument: Instrument, session: Session, count: int) -> tuple[float, ...]:
        """The closes of the sessions before this one, newest first."""
        closes = []
        for _ in range(count):
            session = session_before(instrument.market, session.day)
            closes.append(self._close(instrument, session))
        return tuple(closes)

    def _ended(self, instrument: Instrument, session: Session) -> Bar:
        """The bar of a session that has ended, from about one trade in ten minutes.

        A chart of some days would otherwise take seconds to generate, and the server answers one request at a time.
        """
        step = instrument.trade_seconds
        seconds = [*range(0, session.end - session.start, step * max(1, _SAMPLE_SECONDS // step))]
        prices = [self.path(instrument).at(session.start + second) for second in seconds]
        prices.append(self._close(instrument, session))
        return Bar(session.start, prices[0], max(prices), min(prices), prices[-1], instrument.daily_volume)

    def _close(self, instrument: Instrument, session: Session) -> float:
        last_trade = (session.end - session.start) // instrument.trade_seconds * instrument.trade_seconds
        return self.path(instrument).at(session.start + last_trade)
