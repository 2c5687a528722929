"""Times as the contract writes them: UTC, whole milliseconds, 24 characters. The texts sort like the times. Pure."""

from datetime import UTC, datetime

import msgspec

_encode = msgspec.json.Encoder().encode
_WITH_MICROSECONDS = len('"2026-11-23T14:30:00.000000Z"')


def to_iso(time: datetime) -> str:
    """`2026-11-23T14:30:00.000Z` for an aware UTC time of whole milliseconds."""
    # `isoformat` takes three times as long. With it, this function was a quarter of the CPU of a quote.
    text = _encode(time)
    return text[1:24].decode() + "Z" if len(text) == _WITH_MICROSECONDS else text[1:20].decode() + ".000Z"


def from_iso(text: str) -> datetime:
    """The aware UTC time that `to_iso` wrote. Raises ValueError for any other form."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None or to_iso(time) != text:
        msg = f"{text!r} is not a UTC time like 2026-11-23T14:30:00.000Z"
        raise ValueError(msg)
    return time


def whole_milliseconds(time: datetime) -> datetime:
    """The time in UTC, rounded down to whole milliseconds."""
    time = time.astimezone(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
