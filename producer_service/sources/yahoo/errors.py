"""The errors of a request to Yahoo."""

from __future__ import annotations

from producer_service.sources import FailureReason


class SourceError(Exception):
    """A request to Yahoo was not sent, or brought no response. `reason` is what the poll reports."""

    def __init__(self, reason: FailureReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
