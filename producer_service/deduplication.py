"""Deduplication: which quotes are new, which repeat what is known, and which come too late. Pure.

New content at a known event time becomes a revision of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import blake2b

import msgspec

from quotes import MAX_CLOCK_SKEW, Identity, Quote, encode_content, encode_receipt

DIGEST_BYTES = 8
MAX_DIGESTS = 64
"""The most contents that are remembered of one event time. After more, the oldest content counts as a new revision."""


class SymbolHistory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is remembered of a symbol: the newest event time that was accepted, and the contents accepted at it."""

    event_time: datetime
    revision: int
    """The last revision at that time."""
    digests: tuple[bytes, ...]
    """The digests of the contents accepted at that time, oldest first, at most `MAX_DIGESTS`."""


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """An accepted quote."""

    quote: Quote
    """The quote as the source delivered it, with revision 0."""
    revision: int
    """The revision it was given."""
    line: bytes
    """The line that is sent, with the revision."""

    @property
    def identity(self) -> Identity:
        """The identity of the line that is sent."""
        return Identity(self.quote.symbol, self.quote.event_time, self.revision)


class Deduplicated(msgspec.Struct, frozen=True):
    """The result of deduplicating some quotes. Each of them is accepted, suppressed or late."""

    accepted: tuple[Accepted, ...]
    suppressed: int
    """Quotes whose content was accepted before, at the same event time and in the same session (`Quote.session`)."""
    late: int
    """Quotes older than the newest accepted quote of their symbol."""
    histories: dict[str, SymbolHistory]
    """The new histories of the symbols with accepted quotes."""


def merge_histories(one: SymbolHistory, other: SymbolHistory) -> SymbolHistory:
    """One history from what two producers remember of a symbol.

    The newer event time wins. At the same time, the contents of both are remembered.
    """
    if one.event_time != other.event_time:
        return max(one, other, key=lambda history: history.event_time)
    digests = (*one.digests, *(digest for digest in other.digests if digest not in one.digests))
    return SymbolHistory(one.event_time, max(one.revision, other.revision), digests[-MAX_DIGESTS:])


def deduplicate(histories: Mapping[str, SymbolHistory], quotes: Iterable[Quote]) -> Deduplicated:
    """Deduplicate quotes in their order, given the histories of their symbols. No other code assigns revisions.

    A history that is more than `MAX_CLOCK_SKEW` ahead of a quote's receipt was accepted while a clock was wrong. It is
    forgotten, or every quote would be late until that time.
    """
    accepted: list[Accepted] = []
    changed: dict[str, SymbolHistory] = {}
    suppressed = late = 0
    # Quotes of one poll mostly share their ingest time, so its encoding is kept from one quote to the next.
    encoded_time, receipt = None, b""
    for quote in quotes:
        symbol, event_time = quote.symbol, quote.event_time
        history = changed.get(symbol) or histories.get(symbol)
        if history is not None and event_time < history.event_time:
            if history.event_time - quote.ingest_time <= MAX_CLOCK_SKEW:
                late += 1
                continue
            history = None
        content = encode_content(quote)
        digest = blake2b(content, digest_size=DIGEST_BYTES, salt=quote.session.encode()).digest()
        if history is None or event_time > history.event_time:
            revision = 0
            changed[symbol] = SymbolHistory(event_time, 0, (digest,))
        elif digest in history.digests:
            suppressed += 1
            continue
        else:
            revision = history.revision + 1
            changed[symbol] = SymbolHistory(event_time, revision, (*history.digests[1 - MAX_DIGESTS :], digest))
        ingest_time = quote.ingest_time
        if ingest_time != encoded_time:
            encoded_time, receipt = ingest_time, encode_receipt(ingest_time, 0)
        line = content + (encode_receipt(ingest_time, revision) if revision else receipt)
        accepted.append(Accepted(quote, revision, line))
    return Deduplicated(tuple(accepted), suppressed, late, changed)
