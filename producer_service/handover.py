"""The handover: takes over what stopped producers left in the depot, and leaves what this one could not deliver."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from producer_service.errors import HandoverUnavailable, JournalError
from producer_service.handover_store import Depot, Leftover
from producer_service.outbox import Outbox

Adopt = Callable[[str, Leftover], int | None]

log = structlog.get_logger(__name__)


class Handover:
    """Between one outbox and one depot.

    `adopt` brings a leftover into the outbox while no poll is being accepted, and says how many quotes it held; None
    means that it is too late. `new_key` names an object; keys sort in the order of their writing.
    """

    def __init__(self, depot: Depot, outbox: Outbox, adopt: Adopt, new_key: Callable[[], str]) -> None:
        self._depot = depot
        self._outbox = outbox
        self._adopt = adopt
        self._new_key = new_key

    def take_over(self) -> int:
        """Bring everything that waits into the journal, then delete it. Returns how many quotes came.

        Trouble is logged and left for the next time: what is not taken stays where it is.
        """
        quotes = 0
        try:
            for key in self._depot.waiting():
                quotes += self._take(key)
        except HandoverUnavailable as error:
            log.warning("handover_unavailable", detail=str(error)[:300], action="it is looked for again in a minute")
        return quotes

    def leave(self) -> int:
        """Put what is pending and remembered where the next producer finds it. Returns how many quotes went.

        To be called when nothing is in flight and nothing is accepted any more. Raises `HandoverUnavailable`: then all
        of it is still in the journal.
        """
        leftover = self._outbox.leftover()
        self._depot.put(self._new_key(), leftover)
        self._outbox.forget(leftover)
        return leftover.quotes

    def _take(self, key: str) -> int:
        leftover = self._depot.get(key)
        if leftover is None:
            return 0
        try:
            quotes = self._adopt(key, leftover)
        except JournalError as error:
            log.warning("leftover_refused", detail=str(error), action="start a producer of that number of lanes")
            return 0
        if quotes is None:
            return 0
        self._depot.delete(key)
        log.info("leftover_taken", key=key, quotes=quotes, symbols=len(leftover.memories))
        return quotes
