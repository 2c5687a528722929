"""Remembers which corporate actions were sent, because a source declares an action again every day. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from quotes import Action

MAX_ACTIONS = 20_000
"""The most actions that are remembered. A week of 10,000 symbols has about 1,000."""


class SentActions:
    """The content of each action that was sent last, by its identity. Not thread-safe.

    It is in memory alone. A restart sends the actions of the last days once more, which changes nothing downstream:
    actions are idempotent by identity.
    """

    def __init__(self, most: int = MAX_ACTIONS) -> None:
        self._most = most
        self._contents: dict[tuple[str, str, datetime], Action] = {}

    def new(self, actions: Iterable[Action]) -> tuple[Action, ...]:
        """The actions that were not sent with this content, in their order, and each only once."""
        new: dict[tuple[str, str, datetime], Action] = {}
        for action in actions:
            identity = _identity(action)
            if identity not in new and self._contents.get(identity) != _content(action):
                new[identity] = action
        return tuple(new.values())

    def record(self, actions: Iterable[Action]) -> None:
        """Record that some actions were sent. The actions that were recorded first are forgotten first."""
        for action in actions:
            self._contents.pop(_identity(action), None)
            self._contents[_identity(action)] = _content(action)
        while len(self._contents) > self._most:
            del self._contents[next(iter(self._contents))]


def _identity(action: Action) -> tuple[str, str, datetime]:
    return action.symbol, action.action, action.event_time


def _content(action: Action) -> Action:
    """The action without the time at which it was received, which differs each day."""
    return replace(action, ingest_time=action.event_time)
