"""A handover store in memory."""

from __future__ import annotations

from producer_service.handover_store import UndeliveredState


class MemoryHandoverStore:
    """Keeps undelivered states in a dictionary."""

    def __init__(self) -> None:
        self.states: dict[str, UndeliveredState] = {}
        self.refused: dict[str, str] = {}
        """Why each state that was set aside was."""

    def put(self, key: str, state: UndeliveredState) -> None:
        self.states[key] = state

    def waiting(self) -> list[str]:
        return sorted(self.states)

    def get(self, key: str) -> UndeliveredState | None:
        return self.states.get(key)

    def delete(self, key: str) -> None:
        self.states.pop(key, None)

    def set_aside(self, key: str, reason: str) -> None:
        self.states.pop(key, None)
        self.refused[key] = reason
