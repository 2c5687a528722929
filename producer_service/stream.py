"""The stream that packets are sent to: its protocol, and the result of one request. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from producer_service.packing import Packet

PutFailure = Literal["throttled", "internal", "timeout", "connection", "refused", "unexpected", "journal"]
"""Why a record is sent again.

`refused` includes requests that were not sent because there are no credentials. After `timeout`, `connection` and
`unexpected` nobody knows whether Kinesis stored the record, so it may arrive twice. With `journal`
Kinesis did store it, but the row could not be removed from the journal, so it arrives twice.
"""


class PutResult(msgspec.Struct, frozen=True):
    """The outcome of each record of one request, in their order: None if it was acknowledged, or why it was not."""

    failures: tuple[PutFailure | None, ...]
    detail: str = ""
    """The first failure in Kinesis's own words."""


class Stream(Protocol):
    """The stream that packets are sent to."""

    def put(self, packets: Sequence[Packet]) -> PutResult:
        """Put packets in one request, each as one record. It does not retry.

        Failures are part of the result. Whatever it raises counts as the failure `unexpected` of every record.
        """

    def check(self) -> str:
        """Return a sentence that says that the stream answers. Raises `StreamUnreachable` if it does not."""
