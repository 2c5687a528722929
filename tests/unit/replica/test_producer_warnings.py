"""What the demo shows of the warnings in the producer's log."""

from __future__ import annotations

import io
import json

import pytest

from replica.producer_process import ProducerProcess

UNUSABLE = {
    "level": "warning",
    "event": "watchlist_unusable",
    "reason": "invalid",
    "mistakes": ["s3://bucket/configuration/watchlist.toml: group 1 (a): symbols: missing", "another"],
}
USABLE = {"level": "info", "event": "watchlist_usable"}
FAILED = {"level": "warning", "event": "source_failed", "reason": "timeout", "detail": "no answer"}


@pytest.mark.parametrize(
    ("entries", "warning"),
    [
        ([UNUSABLE], "watchlist_unusable group 1 (a): symbols: missing"),
        ([UNUSABLE, USABLE], ""),
        ([UNUSABLE, FAILED, USABLE], "source_failed no answer"),
    ],
    ids=["wrong", "corrected", "another since"],
)
def test_a_wrong_watchlist_is_shown_with_its_mistake_until_it_is_right(
    entries: list[dict[str, object]], warning: str
) -> None:
    producer = ProducerProcess({})
    producer._read(io.BytesIO(b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)))
    assert producer.warning == warning
