from __future__ import annotations

from typing import Any

import pytest

from replica import consumer
from replica.consumer import ConsumerNotActive, register
from tests.support.event_source import CONSUMER, STREAM


class Kinesis:
    """Kinesis, where a consumer has each of these states in turn, and then the last one for ever."""

    def __init__(self, *states: str) -> None:
        self._states = list(states)

    def register_stream_consumer(self, **request: str) -> dict[str, Any]:
        assert request == {"StreamARN": STREAM, "ConsumerName": "processor"}
        return {"Consumer": {"ConsumerARN": CONSUMER, "ConsumerStatus": self._next()}}

    def describe_stream_consumer(self, **request: str) -> dict[str, Any]:
        assert request == {"ConsumerARN": CONSUMER}
        return {"ConsumerDescription": {"ConsumerARN": CONSUMER, "ConsumerStatus": self._next()}}

    def _next(self) -> str:
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]


def test_waits_until_the_consumer_is_active() -> None:
    kinesis = Kinesis("CREATING", "CREATING", "ACTIVE")

    assert register(kinesis, STREAM, "processor") == CONSUMER
    assert kinesis.describe_stream_consumer(ConsumerARN=CONSUMER)["ConsumerDescription"]["ConsumerStatus"] == "ACTIVE"


def test_a_consumer_that_stays_inactive_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "ACTIVE_SECONDS", 0)

    with pytest.raises(ConsumerNotActive, match="is CREATING, and did not become ACTIVE in 0 s"):
        register(Kinesis("CREATING"), STREAM, "processor")
