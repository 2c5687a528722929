"""An archive of a made-up market: as many quotes as wanted in six closed days, in objects like the processor's."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

from quotes import decode, to_iso

SYMBOLS = 100
DAYS = 6
"""The days, of which the last one is the day before yesterday. So all are closed, and the saved queries read all."""
POLLS_OF_AN_OBJECT = 10
COMPRESSION = 6
"""zlib's level, as in the processor."""
REPEATED = 100
"""One of so many polls is sent twice."""

_LINE = (
    '{{"kind":"quote","v":1,"symbol":"{}","event_time":"{}","price":{},"source":"yahoo","open":{},"high":{},"low":{},'
    '"previous_close":{},"volume":{},"currency":"USD","exchange":"NMS","market_state":"REGULAR","ingest_time":"{}"}}\n'
)


class Share:
    """A symbol, whose price walks in cents."""

    def __init__(self, number: int, random: Random) -> None:
        self.symbol = f"SYM{number:03}"
        self._random = random
        self._delay = timedelta(milliseconds=20 * number)
        self._price = random.randrange(2_000, 50_000)
        self._open = self._high = self._low = self._close = self._price
        self._volume = 0

    def line(self, polled: datetime, received: str) -> str:
        """The line of the next quote."""
        self._price = max(self._price + self._random.randrange(-4, 5), 100)
        self._high, self._low = max(self._high, self._price), min(self._low, self._price)
        self._volume += self._random.randrange(900)
        prices = (each / 100 for each in (self._price, self._open, self._high, self._low, self._close))
        return _LINE.format(self.symbol, to_iso(polled - self._delay), *prices, self._volume, received)

    def next_day(self) -> None:
        """Begin a day at the last price."""
        self._open = self._high = self._low = self._close = self._price
        self._volume = 0


def write(archive: Path, quotes: int, today: date, report: Callable[[str], None]) -> int:
    """Write the archive. Returns the number of its lines."""
    random = Random(17)  # noqa: S311  (no secret)
    shares = [Share(number, random) for number in range(SYMBOLS)]
    polls = quotes // SYMBOLS // DAYS
    step = timedelta(days=1) / polls
    lines = number = 0
    for ago in range(DAYS + 1, 1, -1):
        midnight = datetime.combine(today - timedelta(days=ago), datetime.min.time(), UTC)
        waiting: list[str] = []
        for poll in range(polls):
            polled = midnight + timedelta(seconds=3) + step * poll * 0.999
            polled = polled.replace(microsecond=polled.microsecond // 1000 * 1000)
            arrived = polled + timedelta(milliseconds=300)
            body = "".join(share.line(polled, to_iso(arrived)) for share in shares)
            waiting += [body] * (2 if poll % REPEATED == 0 else 1)
            if len(waiting) >= POLLS_OF_AN_OBJECT or poll == polls - 1:
                number += 1
                key = (
                    f"raw-data/dt={arrived:%Y-%m-%d}/hour={arrived:%H}/shardId-000000000000-{number}-{number}.jsonl.gz"
                )
                (archive / key).parent.mkdir(parents=True, exist_ok=True)
                (archive / key).write_bytes(gzip.compress("".join(waiting).encode(), COMPRESSION))
                lines += SYMBOLS * len(waiting)
                waiting = []
        for share in shares:
            share.next_day()
        report(f"wrote {lines:,} lines in {number:,} objects")
    _check(shares[0].line(datetime(2026, 11, 23, tzinfo=UTC), "2026-11-23T00:00:00.000Z"))
    return lines


def _check(line: str) -> None:
    if decode(line.encode()).bad:
        raise ValueError(f"this is no line of a quote: {line}")
