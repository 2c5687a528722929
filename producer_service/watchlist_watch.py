"""Looks for a new watchlist, and has the producer work by it. A bad one changes nothing and is reported."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
import structlog

from producer_service.errors import ConfigurationError, WatchlistUnavailable
from producer_service.groups import Groups, Loops
from producer_service.health import LOG_SECONDS, WATCHLIST, Health
from producer_service.metrics import Metrics
from producer_service.plan import Plan, log_doubtful_names
from producer_service.watchlist_file import LastGood
from producer_service.watchlist_store import WatchlistStore
from quotes import to_iso

MAX_LISTED = 20
"""The most changes or mistakes that a log line and /status name."""

log = structlog.get_logger(__name__)


class WatchlistReport(msgspec.Struct, frozen=True, kw_only=True):
    """What /status says about the watchlist."""

    location: str
    version: str | None = None
    """The version that the groups are of. None before one was read."""
    changed_at: str | None = None
    unavailable: str | None = None
    """Why it could not be read at the last look."""
    mistakes: tuple[str, ...] = ()
    """What is wrong with the watchlist as it is now. The groups are then those of the last good one."""


class WatchlistWatch:
    """Each `look` reads the watchlist if it has changed. A look that begins while another runs does nothing.

    `replan` makes a plan of a content, given the plan before, and raises `ConfigurationError`. `last_good` keeps a copy
    of each good watchlist. It is used at the start only, if the watchlist cannot be read or has mistakes. Without it,
    the producer has no groups until the watchlist is good, and it is not ready.
    """

    def __init__(
        self,
        store: WatchlistStore,
        replan: Callable[[bytes, Plan], Plan],
        plan: Plan,
        groups: Groups,
        *,
        last_good: LastGood | None,
        health: Health,
        metrics: Metrics,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._store = store
        self._replan = replan
        self._plan = plan
        self._groups = groups
        self._last_good = last_good
        self._health = health
        self._metrics = metrics
        self._now = now
        self._monotonic = monotonic
        self._looking = threading.Lock()
        self._seen: str | None = None  # the version of the last watchlist that was read, good or bad
        self._logged: tuple[str, ...] = ()
        self._logged_at = float("-inf")
        self.report = WatchlistReport(location=store.location)
        if not plan.groups:
            health.fails(WATCHLIST, "has not been read yet")

    def look(self, loops: Loops) -> None:
        """Read the watchlist, unless it is the one that was read last, and work by it if it is good."""
        if self._looking.acquire(blocking=False):
            try:
                self._look(loops)
            finally:
                self._looking.release()

    def status(self) -> dict[str, Any]:
        """The report for /status."""
        report = msgspec.structs.replace(self.report, mistakes=self.report.mistakes[:MAX_LISTED])
        return msgspec.structs.asdict(report)

    def _look(self, loops: Loops) -> None:
        try:
            found = self._store.read(self._seen)
        except WatchlistUnavailable as error:
            self._fall_back(loops)
            self._tell("unavailable", (str(error),))
            return
        if found is None:
            self._tell("invalid", self.report.mistakes)
            return
        try:
            plan = self._replan(found.content, self._plan)
        except ConfigurationError as error:
            self._seen = found.version
            self._fall_back(loops)
            self._tell("invalid", tuple(error.mistakes))
            return
        self._work_by(plan, loops, found.version)
        self._seen = found.version
        self._tell("invalid", ())
        self._keep(found.content)

    def _work_by(self, plan: Plan, loops: Loops, version: str | None) -> None:
        found = self._groups.change(plan, loops)
        self._plan = plan
        if found:
            self._metrics.watchlist_changes.inc()
            lines = found.lines()
            log.info(
                "watchlist_changed",
                watchlist=self._store.location,
                changes=lines[:MAX_LISTED],
                more=max(0, len(lines) - MAX_LISTED),
                symbols=sum(len(group.symbols) for group in plan.groups),
            )
            if found.added_symbols:
                log_doubtful_names(plan)
        changed_at = to_iso(self._now()) if found else self.report.changed_at
        self.report = msgspec.structs.replace(self.report, version=version, changed_at=changed_at)
        self._health.works(WATCHLIST)

    def _fall_back(self, loops: Loops) -> None:
        """Begin with the copy of the last good watchlist, if there are no groups yet."""
        content = None if self._plan.groups or self._last_good is None else self._last_good.read()
        if content is None or self._last_good is None:
            return
        try:
            plan = self._replan(content, self._plan)
        except ConfigurationError as error:
            log.warning("watchlist_copy_refused", copy=self._last_good.location, mistakes=error.mistakes[:MAX_LISTED])
            return
        log.warning("watchlist_copy_used", copy=self._last_good.location, action="the watchlist is read again soon")
        self._work_by(plan, loops, None)

    def _keep(self, content: bytes) -> None:
        if self._last_good is None or self._last_good.read() == content:
            return
        try:
            self._last_good.write(content)
        except OSError as error:
            log.warning("watchlist_copy_failed", copy=self._last_good.location, detail=str(error)[:300])

    def _tell(self, reason: str, problems: tuple[str, ...]) -> None:
        """Report what is wrong at this look. Without groups, the producer is not ready."""
        is_unavailable = reason == "unavailable"
        self.report = msgspec.structs.replace(
            self.report,
            unavailable=problems[0] if is_unavailable else None,
            mistakes=self.report.mistakes if is_unavailable else problems,
        )
        self._metrics.watchlist_unusable.labels("unavailable").set(is_unavailable)
        self._metrics.watchlist_unusable.labels("invalid").set(bool(self.report.mistakes))
        if problems and not self._plan.groups:
            self._health.fails(WATCHLIST, "; ".join(problems))
        now = self._monotonic()
        if problems and (problems != self._logged or now - self._logged_at >= LOG_SECONDS):
            log.warning(
                "watchlist_unusable",
                reason=reason,
                mistakes=list(problems[:MAX_LISTED]),
                more=max(0, len(problems) - MAX_LISTED),
                action="the groups stay as they are" if self._plan.groups else "nothing is polled until it is right",
            )
            self._logged_at = now
        elif self._logged and not problems:
            log.info("watchlist_usable", watchlist=self._store.location)
        self._logged = problems
