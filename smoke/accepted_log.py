"""The step that compares what the producer logs that it accepted with the archive.

A poll is logged a moment after its quotes were accepted. If this moment lies at an edge of the span, the two figures
differ. So the comparison is repeated, each time with a later span, until they agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from smoke.checks import Span, accepted_archived
from smoke.deadline import Deadline
from smoke.quotes import Quotes
from smoke.stage import Stage
from smoke.verdicts import LeftOut, Verdict

POLLED = '{ $.event = "polled" }'
"""The filter of CloudWatch for the lines of polls."""
DELAY = timedelta(seconds=30)
"""CloudWatch has a line by this long after it was logged."""


@dataclass(frozen=True)
class AcceptedLog:
    """The producer's log in CloudWatch."""

    stage: Stage
    quotes: Quotes

    def is_archived(self, deadline: Deadline) -> Verdict:
        """Compare the sums of the whole test, with the task and the function that failed in it."""
        length = self.stage.clock.now() - self.stage.started_at

        def look() -> Verdict:
            end = self.stage.clock.now() - DELAY
            span = Span(end - length, end)
            accepted = self._accepted(span)
            if accepted is None:
                log = self.stage.output("ProducerLogGroup")
                return LeftOut(f"the log {log} has no polls: nothing writes it here")
            return accepted_archived(span, accepted, self.quotes.accepted(span))

        return deadline.until(look)

    def _accepted(self, span: Span) -> int | None:
        """The sum over the polls that were logged in a span. None if none was."""
        pages = (
            self.stage.client("logs")
            .get_paginator("filter_log_events")
            .paginate(
                logGroupName=self.stage.output("ProducerLogGroup"),
                filterPattern=POLLED,
                startTime=_milliseconds(span.start),
                endTime=_milliseconds(span.end) - 1,
            )
        )
        polls = [_accepted_by(event) for page in pages for event in page["events"]]
        return sum(polls) if polls else None


def _accepted_by(event: dict[str, Any]) -> int:
    accepted: int = msgspec.json.decode(event["message"])["accepted"]
    return accepted


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)
