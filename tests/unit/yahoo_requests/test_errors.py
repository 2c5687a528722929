from __future__ import annotations

import pytest

from yahoo_requests.errors import FailureReason, failure_reason


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (200, None),
        (429, "rate_limited"),
        (999, "rate_limited"),
        (401, "unauthorized"),
        (403, "unauthorized"),
        (500, "server_error"),
        (503, "server_error"),
        (404, "malformed"),
        (422, "malformed"),
        (302, "malformed"),
    ],
)
def test_each_status_has_a_failure_reason(status: int, reason: FailureReason | None) -> None:
    assert failure_reason(status) == reason
