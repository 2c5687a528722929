"""The price of an instrument at a time: a function of the seed, the symbol and the time alone.

The logarithm of the price is a sum of noise on several time scales. Each scale is linear between points that are some
seconds apart, with random values whose size grows with the square root of the scale, as a random walk's does. So a
price can be computed for any time without the prices before it, and it looks the same on every scale.
"""

from __future__ import annotations

import math
import random
import struct
import zlib
from functools import lru_cache

from tests.fakes.yahoo.instruments import Instrument

DAY = 86_400
MINUTE = 60

_SLOW_SCALES = (90 * DAY, 20 * DAY, 5 * DAY, DAY, DAY // 4, 3_600, 900, 180)
"""Evaluated at full minutes. Between them their sum is linear."""
_FAST_SCALES = (20, 5)
_POINTS = 8_191
"""The number of random values. It is a prime, so that the scales do not repeat together."""
_EXACT_DIGITS = 6
"""A 32-bit float holds every decimal number of this many digits."""

_Scale = tuple[int, float, int]
"""Noise on one time scale: its seconds, its size, and where it starts among the random values."""


class Prices:
    """The prices of all instruments for one seed."""

    def __init__(self, seed: int) -> None:
        values = random.Random(seed)
        noise = [values.gauss(0, 1) for _ in range(_POINTS)]
        self._noise = (*noise, noise[0])
        """One value more than there are points, so that each point has a next one."""
        self.path = lru_cache(maxsize=65_536)(self._new_path)

    def _new_path(self, instrument: Instrument) -> PricePath:
        return PricePath(self._noise, instrument)


class PricePath:
    """The price of one instrument at any time. Fastest when the times increase in small steps."""

    def __init__(self, noise: tuple[float, ...], instrument: Instrument) -> None:
        self._noise = noise
        self._instrument = instrument
        self._slow = self._scales(_SLOW_SCALES)
        self._fast = self._scales(_FAST_SCALES)
        self._offset = zlib.crc32(instrument.symbol.encode())
        self._minute = -1
        self._before = 0.0
        self._after: float | None = None

    def at(self, time: int) -> float:
        """The price at a time, with the digits that Yahoo would print."""
        minute, second = divmod(time, MINUTE)
        if minute != self._minute:
            known = self._after if minute == self._minute + 1 else None
            self._before = self._sum(self._slow, minute * MINUTE) if known is None else known
            self._after = None
            self._minute = minute
        value = self._before
        if second:
            if self._after is None:
                self._after = self._sum(self._slow, (minute + 1) * MINUTE)
            value += (self._after - value) * second / MINUTE
        value += self._sum(self._fast, time)
        return self._rounded(self._instrument.base_price * math.exp(value))

    def chance(self, number: int) -> float:
        """A random value of mean 0 and deviation 1, the same each time for this instrument and number."""
        return self._noise[(self._offset + number) % _POINTS]

    def wave(self, time: float, seconds: int) -> float:
        """Noise of deviation 1 on a time scale, for values other than prices."""
        return self._sum(((seconds, 1.0, self._offset),), time)

    def _scales(self, seconds: tuple[int, ...]) -> tuple[_Scale, ...]:
        symbol, volatility = self._instrument.symbol, self._instrument.volatility
        return tuple(
            (scale, volatility * math.sqrt(scale / DAY) / 2, zlib.crc32(f"{symbol} {scale}".encode()))
            for scale in seconds
        )

    def _sum(self, scales: tuple[_Scale, ...], time: float) -> float:
        total, noise = 0.0, self._noise
        for seconds, size, offset in scales:
            point, rest = divmod(time, seconds)
            index = (int(point) + offset) % _POINTS
            before = noise[index]
            total += size * (before + (noise[index + 1] - before) * rest / seconds)
        return total

    def _rounded(self, price: float) -> float:
        decimals = self._instrument.decimals
        if decimals is None:
            return float32(price)
        price = round(price, decimals)
        return price if price < 10 ** (_EXACT_DIGITS - decimals) else float32(price)


def float32(value: float) -> float:
    """The shortest number that is the same 32-bit float. Yahoo calculates in 32 bits and prints such numbers."""
    content = struct.pack("f", value)
    (rounded,) = struct.unpack("f", content)
    for digits in range(_EXACT_DIGITS, 10):
        short = float(f"{rounded:.{digits}g}")
        if struct.pack("f", short) == content:
            return short
    return float(rounded)
