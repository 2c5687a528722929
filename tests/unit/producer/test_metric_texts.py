"""Each metric's help text stands alone, as the tooltip of a dashboard that a stranger reads."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from operations.exporter import PipelineCollector
from producer_service.metrics import GroupSummary, Metrics
from tests.fakes.empty_outbox import EmptyOutbox

DANGLING = re.compile(r"^(Their|Its|They|It|This|These|Those)\b|\boldest of them\b")
UNITS = {"_seconds": "econds", "_bytes": "ytes"}


class Queue:
    def get_queue_attributes(self, **_: object) -> dict[str, dict[str, str]]:
        return {"Attributes": {"ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesNotVisible": "0"}}


class Table:
    def get_paginator(self, _name: str) -> Table:
        return self

    def paginate(self, **_: object) -> list[dict[str, list[object]]]:
        return [{"Items": []}]


def help_texts() -> dict[str, str]:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.watch_outbox(EmptyOutbox(), limit_bytes=1)
    metrics.watch_clock(lambda: 0.0, lambda: 0.0)
    metrics.watch_calendars(lambda: datetime(2026, 1, 1, tzinfo=UTC))
    metrics.watch_groups(lambda: GroupSummary(groups=1, open=1, trading=1, missing=0, inactive=0, is_paused=False))
    outputs = {"QuarantineQueueUrl": "", "StateTable": ""}
    registry.register(PipelineCollector(outputs, dynamodb=Table(), sqs=Queue()))
    return {family.name: family.documentation for family in registry.collect()}


def test_every_help_text_is_made_of_sentences_that_need_no_other_text() -> None:
    texts = help_texts()
    assert len(texts) > 30
    for name, text in texts.items():
        assert text.endswith("."), name
        assert len(text) >= 60, name
        assert not DANGLING.search(text), name


def test_every_help_text_names_its_unit() -> None:
    for name, text in help_texts().items():
        for suffix, unit in UNITS.items():
            if name.endswith(suffix):
                assert unit in text, name
