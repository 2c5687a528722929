"""A chunk: the bars of one symbol that one request asks for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from quotes import Action


class Chunk(msgspec.Struct, frozen=True, order=True):
    """The bars of a resolution that begin at `start` or later, and before `end`. Both are aware UTC."""

    symbol: str
    resolution: str
    """`1m`, `5m`, `1h` or `1d`."""
    start: datetime
    end: datetime


class SourceBar(msgspec.Struct, frozen=True, gc=False):
    """A bar as the source has it, at the prices of its time: splits that came later do not change it."""

    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int | None
    """None if the source does not know it."""


class FinishedChunk(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk with the answer of the source."""

    chunk: Chunk
    fetched_at: datetime
    """When the answer came."""
    complete_to: datetime
    """The source was asked for every bar before it. It is before the end of the chunk if the answer ends early."""
    source: str
    bars: Sequence[SourceBar] = ()
    """In order of time."""
    actions: Sequence[Action] = ()
    problems: Sequence[str] = ()
    """What was wrong with the answer, and left out."""
