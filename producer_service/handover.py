"""The handover: restores what stopped producers left in the store, and leaves what this one could not deliver.

A state is committed to the journal before its object is deleted, and the journal remembers the key. So an object that
is found again, because its deletion failed, is only deleted.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from producer_service.errors import HandoverUnavailable, JournalError
from producer_service.handover_store import HandoverStore, UndeliveredState
from producer_service.outbox import Outbox

Restore = Callable[[str, UndeliveredState], int | None]
"""Adds the state of a key to the outbox while no result is being accepted. Returns how many quotes it added, or None if
the intake is closed."""

log = structlog.get_logger(__name__)


class Handover:
    """Moves states between an outbox and a store. `new_key` returns keys that sort by the time of their writing."""

    def __init__(self, store: HandoverStore, outbox: Outbox, restore: Restore, new_key: Callable[[], str]) -> None:
        self._store = store
        self._outbox = outbox
        self._restore = restore
        self._new_key = new_key

    def take_over(self) -> int:
        """Restore every state that waits, then delete it. Returns how many quotes were added.

        If the store fails, that is logged, and the rest stays there for the next time.
        """
        quotes = 0
        try:
            for key in self._store.waiting():
                quotes += self._take(key)
        except HandoverUnavailable as error:
            log.warning("handover_unavailable", detail=str(error)[:300], action="the next attempt is in a minute")
        return quotes

    def store(self) -> int:
        """Store everything pending, and the histories, for the next producer. Returns how many quotes were stored.

        Nothing may be in flight, and nothing may be accepted any more. Raises `HandoverUnavailable`; then everything is
        still in the journal.
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
