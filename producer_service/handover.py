"""The handover: restores what stopped producers left in the store, and leaves what this one could not deliver.

A state is committed to the journal before its object is deleted, and the journal remembers the key. So an object that
is found again, because its deletion failed, is only deleted. A state that no producer can use is set aside. One that is
for another producer stays.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import structlog

from producer_service.errors import (
    ForeignState,
    HandoverUnavailable,
    JournalError,
    ProducerError,
    UnusableState,
    described,
)
from producer_service.handover_store import HandoverStore, UndeliveredState, problem_of
from producer_service.health import HANDOVER, Health
from producer_service.metrics import Metrics
from producer_service.outbox import Outbox

Restore = Callable[[str, UndeliveredState], int | None]
"""Adds the state of a key to the outbox while no result is being accepted. Returns how many quotes it added, or None if
the intake is closed."""

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)


class Handover:
    """Moves states between an outbox and a store. `new_key` returns keys that sort by the time of their writing."""

    def __init__(
        self,
        store: HandoverStore,
        outbox: Outbox,
        restore: Restore,
        new_key: Callable[[], str],
        *,
        metrics: Metrics,
        health: Health,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._restore = restore
        self._new_key = new_key
        self._metrics = metrics
        self._health = health
        self._lock = threading.Lock()
        self._refused: dict[str, str] = {}  # what could not be set aside yet, and the reasons

    def take_over(self) -> int:
        """Restore every state that waits, then delete it. Returns how many quotes were added.

        If the store or the journal fails, that is logged, and the rest stays there for the next time. Returns 0 at once
        if another call is under way.
        """
        if not self._lock.acquire(blocking=False):
            return 0
        quotes = 0
        try:
            for key in self._ask(self._store.waiting):
                quotes += self._take(key)
            if not self._refused:
                self._health.works(HANDOVER)
        except (HandoverUnavailable, JournalError) as error:
            self._note_failure(error)
        finally:
            self._lock.release()
        return quotes

    def store(self) -> int:
        """Store everything pending, and the histories, for the next producer. Returns how many quotes were stored.

        Nothing may be accepted any more, and nothing should be in flight: a packet that is may arrive twice. Raises
        `HandoverUnavailable`; then everything is still in the journal.
        """
        state = self._outbox.undelivered()
        self._ask(self._store.put, self._new_key(), state)
        self._outbox.forget(state)
        return state.quotes

    def _take(self, key: str) -> int:
        try:
            state = self._checked(key)
            quotes = None if state is None else self._restore(key, state)
        except (HandoverUnavailable, JournalError):
            raise
        except ForeignState as error:
            self._metrics.undelivered_states.labels("left").inc()
            log.warning("undelivered_state_left", key=key, reason=str(error), action="start a producer that can use it")
            return 0
        except Exception as error:  # noqa: BLE001  (a state that breaks the checks must not keep a producer from starting)
            self._set_aside(key, described(error))
            return 0
        if state is None or quotes is None:
            return 0
        self._ask(self._store.delete, key)
        self._metrics.undelivered_states.labels("restored").inc()
        log.info("undelivered_state_restored", key=key, quotes=quotes, symbols=len(state.histories))
        return quotes

    def _checked(self, key: str) -> UndeliveredState | None:
        """A state that this producer can use, or None if it is gone. Raises what says why it cannot."""
        if key in self._refused:
            raise UnusableState(self._refused[key])
        state = self._ask(self._store.get, key)
        if state is None:
            return None
        if state.lanes != self._outbox.lane_count:
            raise ForeignState(f"it has {state.lanes} lanes, and this producer has {self._outbox.lane_count}")
        problem = problem_of(state)
        if problem is not None:
            raise UnusableState(problem)
        return state

    def _set_aside(self, key: str, reason: str) -> None:
        if key not in self._refused:
            self._refused[key] = reason
            self._metrics.undelivered_states.labels("refused").inc()
            log.warning("undelivered_state_refused", key=key, reason=reason[:300], action="it moves to refused/")
        try:
            self._ask(self._store.set_aside, key, reason)
        except HandoverUnavailable as error:  # the states after it do not have to wait
            self._note_failure(error)
        else:
            del self._refused[key]

    def _note_failure(self, error: ProducerError) -> None:
        if self._health.fails(HANDOVER, str(error)):
            log.warning("handover_unavailable", detail=str(error)[:300], action="the next attempt is in a minute")

    def _ask(self, request: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Send a request to the store. Whatever it raises, besides its own errors, is `HandoverUnavailable`."""
        with self._health.asking(HANDOVER):
            try:
                return request(*args, **kwargs)
            except ProducerError:
                raise
            except BaseException as error:
                raise HandoverUnavailable(described(error)) from error
