"""The bytes of indicators, as lane states hold them. Pure."""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime, timedelta

from indicators.model import WINDOW, Indicators

WRITES = 1
READS = 1
"""The version of packed indicators that is written, and the latest that is read: as in `lane_state.codec`."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HEAD = struct.Struct("<4Bq10d")
"""Version, counts of closes, returns and volumes, last minute, averages. The closes follow. Little-endian."""


def pack(indicators: Indicators) -> bytes:
    """The bytes of a state: 92, and 8 for each close, so at most 492. `unpack` restores the same state."""
    minute = 0 if indicators.minute is None else (indicators.minute - _EPOCH) // _MICROSECOND
    closes = indicators.closes
    return _HEAD.pack(
        WRITES,
        len(closes),
        indicators.returns,
        indicators.volumes,
        minute,
        indicators.fast_ema,
        indicators.slow_ema,
        indicators.signal,
        indicators.gain,
        indicators.loss,
        indicators.return_mean,
        indicators.return_variance,
        math.nan if indicators.z_score is None else indicators.z_score,
        indicators.volume_mean,
        math.nan if indicators.volume_ratio is None else indicators.volume_ratio,
    ) + struct.pack(f"<{len(closes)}d", *closes)


def unpack(packed: bytes) -> Indicators:
    """The state that `pack` wrote. Raises ValueError if a newer version wrote it, or if the bytes are damaged."""
    if packed and packed[0] > READS:
        msg = f"the indicators have version {packed[0]}, but this program reads up to {READS}: deploy the newer one"
        raise ValueError(msg)
    if not packed or packed[0] < 1 or len(packed) < _HEAD.size or len(packed) != _HEAD.size + 8 * packed[1]:
        msg = (
            f"{len(packed)} bytes that start with {packed[:4].hex() or 'nothing'} are not packed indicators, or not all"
        )
        raise ValueError(msg)
    _, count, returns, volumes, minute, *averages = _HEAD.unpack_from(packed)
    closes: tuple[float, ...] = struct.unpack_from(f"<{count}d", packed, _HEAD.size)
    fast, slow, signal, gain, loss, mean, variance, z_score, volume_mean, volume_ratio = averages
    known = (fast, slow, signal, gain, loss, mean, variance, volume_mean, *closes)
    if (
        count > WINDOW
        or not all(map(math.isfinite, known))
        or min(gain, loss, variance, volume_mean) < 0
        or math.isinf(z_score)
        or math.isinf(volume_ratio)
    ):
        msg = f"the packed indicators of {count} closes hold impossible values: they are damaged"
        raise ValueError(msg)
    try:
        last = _EPOCH + minute * _MICROSECOND if count else None
    except OverflowError as error:
        msg = f"the packed indicators have an impossible time, {minute} microseconds after 1970: they are damaged"
        raise ValueError(msg) from error
    return Indicators(
        last,
        closes,
        fast,
        slow,
        signal,
        gain,
        loss,
        returns,
        mean,
        variance,
        None if math.isnan(z_score) else z_score,
        volumes,
        volume_mean,
        None if math.isnan(volume_ratio) else volume_ratio,
    )
