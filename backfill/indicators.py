"""Computes the indicators of stored minutes again, after bars were filled in before them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from bars.keys import start_of
from indicators import MAX_DIVISOR, NAMES, Indicators, significant
from lane_state import Split
from processor_lambda.rows import Row

WARMUP_BARS = 1_000
"""How many bars the indicators start from. Older bars weigh less than 1e-14 in the slowest indicator."""


def refolded(rows: Sequence[Row], since: datetime, splits: Iterable[Split]) -> list[Row]:
    """Those rows from `since` on whose indicators differ, with the indicators that follow from the rows before them.

    `rows` are the minutes of a symbol in order: `WARMUP_BARS` before `since`, and all later ones. Bars before a split
    count in new shares from its time on, as they do in the stream.
    """
    due = sorted((each for each in splits if _ratio(each) is not None), key=lambda each: each.time)
    state = Indicators()
    changed: list[Row] = []
    for row in rows:
        minute = start_of(str(row["key"]))
        while due and due[0].time <= minute:
            ratio = _ratio(due.pop(0))
            if state.minute is not None and ratio is not None:
                state = state.rescaled(ratio)
        volume = row.get("volume")
        state = state.advanced(minute, float(row["close"]), None if volume is None else int(volume))
        if minute < since:
            continue
        values = {name: significant(value) for name, value in state.values().items()}
        stored = {name: Decimal(row[name]) for name in NAMES if name in row}
        if values != stored:
            changed.append({name: value for name, value in row.items() if name not in NAMES} | values)
    return changed


def _ratio(split: Split) -> float | None:
    """How many new shares a split gives for one. None if that cannot be."""
    ratio = split.new / split.old
    return ratio if 1 / MAX_DIVISOR <= ratio <= MAX_DIVISOR else None
