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
MAX_CONTENTS = 64
"""The most contents that are remembered of one event time. After more, the oldest content counts as a new revision."""


class SymbolHistory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is remembered of a symbol: the newest event time that was accepted, and the contents accepted at it."""

    event_time: datetime
    revision: int
    """The last revision at that time."""
    contents: tuple[bytes, ...]
    """The contents accepted at that time with their sessions (`Quote.session`), oldest first, at most `MAX_CONTENTS`.

    Each is a digest, except that the newest may be whole: most contents are never compared with another one, so the
    digest of the newest is computed when it is needed.
    """

    @property
    def digested(self) -> SymbolHistory:
        """The history with digests alone, as it is stored."""
        if not self.contents or len(self.contents[-1]) == DIGEST_BYTES:
            return self
        return SymbolHistory(self.event_time, self.revision, (*self.contents[:-1], _digest(self.contents[-1])))

    def knows(self, content: bytes) -> bool:
        """Whether a whole content was accepted at that time."""
        return content in self.contents or (len(self.contents[0]) == DIGEST_BYTES and _digest(content) in self.contents)

    def revised(self, revision: int, content: bytes) -> SymbolHistory:
        """The history after another content was accepted at that time."""
        return SymbolHistory(self.event_time, revision, (*self.digested.contents[1 - MAX_CONTENTS :], content))


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
    contents = dict.fromkeys((*one.digested.contents, *other.digested.contents))
    return SymbolHistory(one.event_time, max(one.revision, other.revision), tuple(contents)[-MAX_CONTENTS:])


def remember(histories: dict[str, SymbolHistory], quote: Quote, content: bytes) -> None:
    """Add an accepted quote to the histories of its symbols. `content` is what `encode_content` wrote of it."""
    known, whole = histories.get(quote.symbol), quote.session.encode() + content
    if known is not None and known.event_time == quote.event_time and quote.revision:
        histories[quote.symbol] = known.revised(quote.revision, whole)
    else:
        histories[quote.symbol] = SymbolHistory(quote.event_time, quote.revision, (whole,))


def deduplicate(histories: Mapping[str, SymbolHistory], quotes: Iterable[Quote]) -> Deduplicated:
    """Deduplicate quotes in their order, given the histories of their symbols. No other code assigns revisions.

    A history that is more than `MAX_CLOCK_SKEW` ahead of a quote's receipt was accepted while a clock was wrong. It is
    forgotten, or every quote would be late until that time.
    """
    accepted: list[Accepted] = []
    changed: dict[str, SymbolHistory] = {}
    suppressed = late = 0
    # Quotes of one poll mostly share their ingest time and market state, so what depends on them is computed once.
    ingest_time = market_state = None
    receipt = session = b""
    for quote in quotes:
        symbol, event_time = quote.symbol, quote.event_time
        history = changed.get(symbol) or histories.get(symbol)
        if history is not None and event_time < history.event_time:
            if history.event_time - quote.ingest_time <= MAX_CLOCK_SKEW:
                late += 1
                continue
            history = None
        if quote.ingest_time != ingest_time or quote.market_state != market_state:
            ingest_time, market_state = quote.ingest_time, quote.market_state
            receipt, session = encode_receipt(quote.ingest_time, 0), quote.session.encode()
        content = encode_content(quote)
        whole = session + content
        if history is None or event_time > history.event_time:
            changed[symbol] = SymbolHistory(event_time, 0, (whole,))
            accepted.append(Accepted(quote, 0, content + receipt))
        elif history.knows(whole):
            suppressed += 1
        else:
            revision = history.revision + 1
            changed[symbol] = history.revised(revision, whole)
            accepted.append(Accepted(quote, revision, content + encode_receipt(quote.ingest_time, revision)))
    return Deduplicated(tuple(accepted), suppressed, late, changed)


def _digest(content: bytes) -> bytes:
    """The digest of a whole content, whose session, if it has one, is before its brace."""
    start = content.index(b"{")
    return blake2b(content[start:], digest_size=DIGEST_BYTES, salt=content[:start]).digest()
