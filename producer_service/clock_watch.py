"""The watch over the host's clock: its steps and errors are logged and counted."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from producer_service.clock import TOLERANCE_SECONDS, Clock
from producer_service.metrics import Metrics

JUMP_SECONDS = 3600.0
"""After a change of the time by more than this, the calendars are loaded again."""

log = structlog.get_logger(__name__)


class ClockWatch:
    """Looks at the clock. `on_jump` is called when the producer's own time has changed by more than `JUMP_SECONDS`."""

    def __init__(self, clock: Clock, metrics: Metrics, on_jump: Callable[[], object]) -> None:
        self._clock = clock
        self._metrics = metrics
        self._on_jump = on_jump
        self._offset = clock.time() - clock.uptime()
        self._is_wrong = False

    def look(self) -> None:
        """Log and count what has happened since the last look."""
        for seconds in self._clock.steps():
            self._metrics.clock_steps.inc()
            log.warning("clock_stepped", seconds=round(seconds, 3), action="Kinesis decides which time is right")
        error = self._clock.error()
        is_wrong = abs(error) > TOLERANCE_SECONDS
        if is_wrong != self._is_wrong:
            self._is_wrong = is_wrong
            if is_wrong:
                log.warning("clock_wrong", ahead_seconds=round(error, 3), action="set the clock of this host")
            else:
                log.info("clock_right")
        before, self._offset = self._offset, self._clock.time() - self._clock.uptime()
        if abs(self._offset - before) > JUMP_SECONDS:
            self._on_jump()
