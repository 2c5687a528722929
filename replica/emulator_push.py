"""Corrects MiniStack's SubscribeToShard where it differs from Kinesis.

`metering_proxy` installs it in the emulator's process. MiniStack has no settings for this, so lines of its source are
replaced. It is pinned to one version. If another one lacks a line, the emulator does not start. The differences:

- It looks for new records every 0.2 s. With Kinesis, a record takes about 70 ms on average from its put to a consumer
  (docs.aws.amazon.com/streams/latest/dev/enhanced-consumers.html).
- One event has all records that are there. botocore refuses an event of more than 24 MB, so a consumer that fell
  behind would never get on. AWS does not say how large its events are, but it pushes "up to 2 MB of data per second per
  shard" (as above). Here, an event has at most 2 MB.
- `MillisBehindLatest` is always 0. Here, it is 0 only if no record is left.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from typing import Any

LOOK_SECONDS = 0.1
"""How often a subscription looks for new records. A record waits half of it on average. With its put, that is 70 ms."""

EVENT_BYTES = 2_000_000
"""The most data in one event, as base64. A larger record has an event of its own."""

_REPLACEMENTS = (
    (
        """                batch = [r for r in records
                         if after_sequence is None or r["SequenceNumber"] > after_sequence]
""",
        """                batch = _one_event([r for r in records
                                    if after_sequence is None or r["SequenceNumber"] > after_sequence])
""",
    ),
    (
        """                        "MillisBehindLatest": 0}))
                    last_sent""",
        """                        "MillisBehindLatest": _millis_behind(records, after_sequence)}))
                    last_sent""",
    ),
    ("asyncio.wait({watcher}, timeout=0.2)", f"asyncio.wait({{watcher}}, timeout={LOOK_SECONDS})"),
)


def one_event(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first of these records, as many as one event holds."""
    chosen: list[dict[str, Any]] = []
    size = 0
    for record in records:
        size += len(record["Data"])
        if chosen and size > EVENT_BYTES:
            break
        chosen.append(record)
    return chosen


def millis_behind(records: Sequence[dict[str, Any]], sent: str | None) -> int:
    """How long ago the first record after those that were sent arrived, in milliseconds; 0 if all were sent."""
    for record in records:
        if sent is None or record["SequenceNumber"] > sent:
            return max(1, int((time.time() - record["ApproximateArrivalTimestamp"]) * 1000))
    return 0


def corrected(source: str) -> str:
    """The source of MiniStack's function with every line replaced. Raises RuntimeError if one is not there."""
    for old, new in _REPLACEMENTS:
        if source.count(old) != 1:
            raise RuntimeError(f"this MiniStack has another SubscribeToShard, without this text:\n{old}")
        source = source.replace(old, new)
    return source


def install(kinesis: Any) -> None:
    """Correct the module `ministack.services.kinesis`."""
    function: Callable[..., Any] = kinesis._subscribe_to_shard  # noqa: SLF001  (MiniStack has no setting for it)
    vars(kinesis).update(_one_event=one_event, _millis_behind=millis_behind)
    code = compile(corrected(inspect.getsource(function)), kinesis.__file__, "exec")
    exec(code, vars(kinesis))  # noqa: S102  (MiniStack's own source, with the replacements above)
