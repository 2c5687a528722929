"""The handover: takes over what stopped producers left in the store, and leaves what this one could not deliver."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from producer_service.errors import HandoverUnavailable, JournalError
from producer_service.handover_store import HandoverStore, UndeliveredState
from producer_service.outbox import Outbox

Restore = Callable[[str, UndeliveredState], int | None]

log = structlog.get_logger(__name__)


class Handover:
    """Between one outbox and one store.

    `restore` brings an undelivered state into the outbox while no poll is being accepted, and returns how many quotes
    it held, or None after the intake has closed. `new_key` names an object; keys sort in the order of their writing.
    """

    def __init__(self, store: HandoverStore, outbox: Outbox, restore: Restore, new_key: Callable[[], str]) -> None:
        self._store = store
        self._outbox = outbox
        self._restore = restore
        self._new_key = new_key

    def take_over(self) -> int:
        """Bring everything that waits into the journal, then delete it. Returns how many quotes came.

        Trouble is logged and left for the next time: what is not taken stays where it is.
        """
        quotes = 0
        try:
            for key in self._store.waiting():
                quotes += self._take(key)
        except HandoverUnavailable as error:
            log.warning("handover_unavailable", detail=str(error)[:300], action="it is looked for again in a minute")
        return quotes

    def leave(self) -> int:
        """Put what is pending and remembered where the next producer finds it. Returns how many quotes went.

        To be called when nothing is in flight and nothing is accepted any more. Raises `HandoverUnavailable`: then all
        of it is still in the journal.
        """
        state = self._outbox.undelivered()
        self._store.put(self._new_key(), state)
        self._outbox.forget(state)
        return state.quotes

    def _take(self, key: str) -> int:
        state = self._store.get(key)
        if state is None:
            return 0
        try:
            quotes = self._restore(key, state)
        except JournalError as error:
            log.warning("undelivered_state_refused", detail=str(error), action="start a producer with that many lanes")
            return 0
        if quotes is None:
            return 0
        self._store.delete(key)
        log.info("undelivered_state_restored", key=key, quotes=quotes, symbols=len(state.histories))
        return quotes
