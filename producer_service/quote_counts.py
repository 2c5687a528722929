"""How many quotes had which outcome, and how much is pending. Pure."""

from __future__ import annotations

import msgspec


class QuoteCounts(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of every quote at one instant, so that the numbers add up.

    fetched = accepted + suppressed + late + rejected, and recovered + accepted = acknowledged + pending + handed_over.
    """

    accepted: int
    suppressed: int
    late: int
    rejected: int
    recovered: int
    """Quotes that this producer found in the journal at its start, or that another producer left."""
    acknowledged: int
    handed_over: int
    pending: int
    bytes: int
    """The bytes of everything pending, including the heartbeats and actions between the quotes."""
    oldest_age_seconds: float | None
    """How long the oldest pending line has been accepted. None if nothing is pending."""


class LaneLevel(msgspec.Struct, frozen=True):
    """What is pending in one lane at one instant."""

    quotes: int
    bytes: int
    oldest_age_seconds: float | None
    """How long the oldest pending line has been accepted. None if nothing is pending."""
    in_flight: bool
    failures: int
    """How often in a row the packet at the head of the lane failed."""
