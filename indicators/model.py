"""The technical indicators of one symbol. Each closed bar advances them. Pure.

Every average starts as the plain mean of its first N values. After that, an exponential average gives each new value
the weight 2 / (N + 1). Wilder's average, which the RSI uses, gives it 1 / N (New Concepts in Technical Trading Systems,
1978). TA-Lib's EMA and RSI do the same. Windows are summed again for each bar, so rounding errors do not add up.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec

NAMES = (
    "sma_5",
    "sma_20",
    "sma_50",
    "ema_12",
    "ema_26",
    "bollinger_upper",
    "bollinger_lower",
    "rsi_14",
    "macd",
    "macd_signal",
    "macd_histogram",
    "return_mean",
    "return_deviation",
    "last_return",
    "z_score",
    "volume_mean",
    "volume_ratio",
)
"""The names of all indicators, in the order in which to show them."""

WINDOW = 50
"""How many closes are remembered. Every indicator has its first value by then, so no other count is needed."""
SMA_SIZES = (5, 20, 50)
BOLLINGER_SIZE = 20
BOLLINGER_WIDTHS = 2
FAST_SPAN, SLOW_SPAN, SIGNAL_SPAN = 12, 26, 9
RSI_SPAN = 14
RETURN_SPAN = 60
RETURNS_NEEDED = 20
"""How many returns it takes until their mean and deviation are known, and until returns have a z-score."""
VOLUME_SPAN = 20
RETURN_MAX_GAP = timedelta(hours=1)
"""The longest time between the two closes of a return. A move over night is not the return of a minute."""
MAX_RETURN = 1e6
"""A larger return is not counted. It cannot be real, and its square would dominate the variance for days."""
MIN_DEVIATION = 1e-12
"""The smallest deviation of returns that gives a z-score, relative to 1 + their mean. Less is a rounding error."""
LEAST = 1e-30
"""A computed number closer to zero is stored as 0."""
MAX_DIVISOR = 1e6
"""The largest number of new shares for an old one in a split, or of old shares for a new one."""


class Indicators(msgspec.Struct, frozen=True, gc=False):
    """What is remembered of a symbol's closed bars. `Indicators()` is the state before the first. Equal by value."""

    minute: datetime | None = None
    """The minute of the last bar."""
    closes: tuple[float, ...] = ()
    """The last closes, at most `WINDOW`, oldest first."""
    fast_ema: float = 0.0
    """The exponential average of closes over `FAST_SPAN`."""
    slow_ema: float = 0.0
    """The exponential average of closes over `SLOW_SPAN`."""
    signal: float = 0.0
    """The signal line: the exponential average of MACD over `SIGNAL_SPAN`."""
    gain: float = 0.0
    """Wilder's average of the rises from close to close."""
    loss: float = 0.0
    """Wilder's average of the falls from close to close, as a positive number."""
    returns: int = 0
    """How many returns were counted, up to `RETURN_SPAN` + 1."""
    return_mean: float = 0.0
    return_variance: float = 0.0
    z_score: float | None = None
    """The last bar's return, in deviations from the mean. Mean and deviation are those of the returns before it."""
    volumes: int = 0
    """How many volumes were counted, up to `VOLUME_SPAN` + 1."""
    volume_mean: float = 0.0
    volume_ratio: float | None = None
    """The last bar's volume, divided by the mean of the volumes before it."""

    def advanced(self, minute: datetime, close: float, volume: int | None) -> Indicators:
        """The state after another closed bar, which is later than all bars before it.

        Closes are finite numbers between -1e15 and 1e15, and volumes are counts up to 2**63 - 1, as in the contract.
        Within these bounds nothing raises and every value stays finite. A volume of None is unknown.
        """
        closes = (*self.closes[1 - WINDOW :], close)
        count = len(closes)
        fast = _moved(self.fast_ema, close, count, FAST_SPAN)
        slow = _moved(self.slow_ema, close, count, SLOW_SPAN)
        signal = self.signal
        if count >= SLOW_SPAN:
            signal = _moved(signal, fast - slow, count - SLOW_SPAN + 1, SIGNAL_SPAN)
        gain, loss = self.gain, self.loss
        returns, mean, variance, z_score = self.returns, self.return_mean, self.return_variance, None
        if self.minute is not None:
            change = close - self.closes[-1]
            share = 1 / min(count - 1, RSI_SPAN)
            gain += (max(change, 0.0) - gain) * share
            loss += (max(-change, 0.0) - loss) * share
            newest = _return_between(self.closes[-1], close, minute - self.minute)
            if newest is not None:
                z_score = self._z_score_of(newest)
                # The variance is never negative this way: Finch, Incremental calculation of weighted mean and variance
                # (2009), section 9.
                returns = min(returns + 1, RETURN_SPAN + 1)
                weight = _weight(returns, RETURN_SPAN)
                difference = newest - mean
                increment = weight * difference
                mean += increment
                variance = (1 - weight) * (variance + difference * increment)
        volumes, volume_mean, volume_ratio = self.volumes, self.volume_mean, None
        if volume is not None:
            volume_ratio = self._volume_ratio_of(volume)
            volumes = min(volumes + 1, VOLUME_SPAN + 1)
            volume_mean = _moved(volume_mean, volume, volumes, VOLUME_SPAN)
        return Indicators(
            minute,
            closes,
            fast,
            slow,
            signal,
            gain,
            loss,
            returns,
            mean,
            variance,
            z_score,
            volumes,
            volume_mean,
            volume_ratio,
        )

    def rescaled(self, divisor: float, count: int = WINDOW) -> Indicators:
        """The state after a split of `divisor` new shares for one. The first `count` closes are from before it.

        Prices are divided by it, and volumes multiplied. Returns, z-scores and ratios stay the same. If closes are
        after the split, the averages of prices start from the closes that are remembered, and that of volumes stays.
        Raises ValueError if the divisor is not within `MAX_DIVISOR`.
        """
        if not 1 / MAX_DIVISOR <= divisor <= MAX_DIVISOR:
            msg = f"a split must be between {1 / MAX_DIVISOR:g} and {MAX_DIVISOR:g} new shares for one, not {divisor!r}"
            raise ValueError(msg)
        closes = tuple(close / divisor for close in self.closes[:count]) + self.closes[count:]
        if count < len(closes):
            return self._restarted(closes)
        return msgspec.structs.replace(
            self,
            closes=closes,
            fast_ema=self.fast_ema / divisor,
            slow_ema=self.slow_ema / divisor,
            signal=self.signal / divisor,
            gain=self.gain / divisor,
            loss=self.loss / divisor,
            volume_mean=self.volume_mean * divisor,
        )

    def _restarted(self, closes: tuple[float, ...]) -> Indicators:
        """The state with other closes, and the averages of prices that follow from them."""
        again = Indicators()
        for close in closes:
            again = again.advanced(self.minute or datetime.min.replace(tzinfo=UTC), close, None)
        return msgspec.structs.replace(
            self,
            closes=closes,
            fast_ema=again.fast_ema,
            slow_ema=again.slow_ema,
            signal=again.signal,
            gain=again.gain,
            loss=again.loss,
        )

    def values(self) -> dict[str, float]:
        """The indicators that are known after the last bar, by name (`NAMES`). All values are finite."""
        count = len(self.closes)
        values = _of_window(self.closes)
        if count >= FAST_SPAN:
            values["ema_12"] = self.fast_ema
        if count >= SLOW_SPAN:
            values |= {"ema_26": self.slow_ema, "macd": self.fast_ema - self.slow_ema}
        if count >= SLOW_SPAN + SIGNAL_SPAN - 1:
            values |= {"macd_signal": self.signal, "macd_histogram": values["macd"] - self.signal}
        movement = self.gain + self.loss
        if count > RSI_SPAN and movement:
            values["rsi_14"] = 100 * (self.gain / movement)
        if self.returns >= RETURNS_NEEDED:
            values |= {"return_mean": self.return_mean, "return_deviation": math.sqrt(self.return_variance)}
        if self.z_score is not None:
            values |= {"last_return": self.closes[-1] / self.closes[-2] - 1, "z_score": self.z_score}
        if self.volumes >= VOLUME_SPAN:
            values["volume_mean"] = self.volume_mean
        if self.volume_ratio is not None:
            values["volume_ratio"] = self.volume_ratio
        return values

    def _z_score_of(self, newest: float) -> float | None:
        if self.returns < RETURNS_NEEDED:
            return None
        deviation = math.sqrt(self.return_variance)
        if deviation <= MIN_DEVIATION * (1 + abs(self.return_mean)):
            return None
        return (newest - self.return_mean) / deviation

    def _volume_ratio_of(self, volume: int) -> float | None:
        if self.volumes < VOLUME_SPAN or self.volume_mean <= 0:
            return None
        ratio = volume / self.volume_mean
        return ratio if math.isfinite(ratio) else None  # infinite if the mean has decayed to almost zero


def significant(value: float) -> Decimal:
    """A computed number as it is stored: 12 significant digits and no exponent. A number smaller than 1e-30 is 0.

    DynamoDB refuses numbers smaller than 1e-130, and a decaying average becomes that small.
    """
    return Decimal(format(Decimal(format(value, ".12g")), "f")) if abs(value) >= LEAST else Decimal(0)


def _return_between(last: float, close: float, gap: timedelta) -> float | None:
    """The return from one close to the next. None if it does not count, as after a close below zero (a future's)."""
    if gap > RETURN_MAX_GAP or last <= 0:
        return None
    newest = (close - last) / last
    return newest if abs(newest) <= MAX_RETURN else None


def _of_window(closes: tuple[float, ...]) -> dict[str, float]:
    """The simple averages, and the Bollinger bands: two population deviations above and below the average over 20."""
    count = len(closes)
    values = {f"sma_{size}": math.fsum(closes[-size:]) / size for size in SMA_SIZES if count >= size}
    if count >= BOLLINGER_SIZE:
        middle = math.fsum(closes[-BOLLINGER_SIZE:]) / BOLLINGER_SIZE
        squares = math.fsum((close - middle) ** 2 for close in closes[-BOLLINGER_SIZE:])
        width = BOLLINGER_WIDTHS * math.sqrt(squares / BOLLINGER_SIZE)
        values |= {"bollinger_upper": middle + width, "bollinger_lower": middle - width}
    return values


def _moved(average: float, value: float, count: int, span: int) -> float:
    """An exponential average after `value`, which is its value number `count`."""
    return average + (value - average) * _weight(count, span)


def _weight(count: int, span: int) -> float:
    """The weight of value number `count`. The first `span` values have equal weights."""
    return 1 / count if count <= span else 2 / (span + 1)
