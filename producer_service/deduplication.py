"""Which quotes are news: repeats are suppressed, late ones refused, new content at a known time revised. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import blake2b

import msgspec

from quotes import Identity, Quote, encode_content, encode_receipt

DIGEST_BYTES = 8
MAX_DIGESTS = 64
"""Contents remembered of one event time. A source that goes on beyond that repeats the oldest as a revision."""


class SymbolHistory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is remembered of a symbol: its newest event time, and what was said at it."""

    event_time: datetime
    revision: int
    digests: tuple[bytes, ...]
    """Of the contents accepted at that time, in their order."""


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """A quote as it was fetched, the revision that it was given, and its line as it goes out."""

    quote: Quote
    revision: int
    line: bytes

    @property
    def identity(self) -> Identity:
        """The identity under which it goes out."""
        return Identity(self.quote.symbol, self.quote.event_time, self.revision)


class Deduplicated(msgspec.Struct, frozen=True):
    """What became of some quotes; every one of them is accepted, suppressed or late."""

    accepted: tuple[Accepted, ...]
    suppressed: int
    """Content that was accepted before at the same event time, and in the same session (`Quote.session`)."""
    late: int
    """Older than the newest accepted quote of its symbol."""
    histories: dict[str, SymbolHistory]
    """Of the symbols that were accepted, as it is afterwards."""


def merge_histories(one: SymbolHistory, other: SymbolHistory) -> SymbolHistory:
    """What two producers remember of a symbol, as one: the newer time, or the contents of both at the same time."""
    if one.event_time != other.event_time:
        return max(one, other, key=lambda history: history.event_time)
    digests = (*one.digests, *(digest for digest in other.digests if digest not in one.digests))
    return SymbolHistory(one.event_time, max(one.revision, other.revision), digests[-MAX_DIGESTS:])


def deduplicate(histories: Mapping[str, SymbolHistory], quotes: Iterable[Quote]) -> Deduplicated:
    """Decide on quotes in their order, given what is remembered of their symbols. Revisions are counted here alone."""
    accepted: list[Accepted] = []
    changed: dict[str, SymbolHistory] = {}
    suppressed = late = 0
    received, receipt = None, b""  # the last ones: a poll's quotes were mostly received together
    for quote in quotes:
        symbol, event_time = quote.symbol, quote.event_time
        history = changed.get(symbol) or histories.get(symbol)
        if history is not None and event_time < history.event_time:
            late += 1
            continue
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
        if ingest_time != received:
            received, receipt = ingest_time, encode_receipt(ingest_time, 0)
        line = content + (encode_receipt(ingest_time, revision) if revision else receipt)
        accepted.append(Accepted(quote, revision, line))
    return Deduplicated(tuple(accepted), suppressed, late, changed)
