"""Why a request to Yahoo brought nothing. Pure."""

from __future__ import annotations

from typing import Literal

FailureReason = Literal["rate_limited", "unauthorized", "server_error", "malformed", "timeout", "connection", "stopped"]
"""Why a request brought nothing. `stopped` means that its sender was closed meanwhile, which is not Yahoo's fault."""


class SourceError(Exception):
    """A request to Yahoo was not sent, or brought no response. `reason` is what is reported."""

    def __init__(self, reason: FailureReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def failure_reason(status: int) -> FailureReason | None:
    """Why a response with this HTTP status is a failure. None if its body should be parsed."""
    match status:
        case 200:
            return None
        case 429 | 999:  # 999 is a status of Yahoo's own, older than 429
            return "rate_limited"
        case 401 | 403:
            return "unauthorized"
        case _ if status >= 500:  # noqa: PLR2004  (defined by HTTP)
            return "server_error"
        case _:
            return "malformed"
