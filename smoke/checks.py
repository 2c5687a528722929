"""Decides from what was seen whether a step passed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec

from smoke.verdicts import Failed, LeftOut, Passed, Verdict

_REFUSED, _ANSWERED = (401, 403), 200
Identity = tuple[str, str]
"""A quote: its symbol, and the sort key of its row, which has its event time and revision."""


class Span(msgspec.Struct, frozen=True):
    """The times from `start` on and before `end`."""

    start: datetime
    end: datetime

    def __contains__(self, time: datetime) -> bool:
        return self.start <= time < self.end

    def __str__(self) -> str:
        return f"{self.start:%H:%M:%S} to {self.end:%H:%M:%S} UTC"


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """The quotes of a span, as they were read one after the other: the archive, all others, the archive again."""

    span: Span
    archived: frozenset[Identity]
    rows: frozenset[Identity]
    moments_in_lines: int
    """How many different symbols and event times Athena finds in the table `lines`."""
    quotes_in_view: int | None
    """How many quotes Athena finds in the view `recent_quotes`. None where the engine cannot read views."""
    archived_after: frozenset[Identity]
    batches_given_up: int
    """How many batches Lambda has discarded since the test began."""
    every_quote_has_a_row: bool
    """False if rows are only written for the last quote of a minute."""


def quotes_arrived(archived: Collection[Identity], stored: Collection[Identity]) -> Verdict:
    """Whether quotes are in the archive and in the table."""
    if not archived:
        return Failed("quotes with an event time after the start of the test", "the archive has none")
    if not stored:
        return Failed("the same quotes in DynamoDB", f"{len(archived)} in the archive and none of them in DynamoDB")
    newest = max(stored, key=lambda one: one[1])
    return Passed(f"{len(archived)} quotes in the archive; the newest row is {newest[0]} of {newest[1]}")


def counts_agree(counts: Counts) -> Verdict:
    """Whether the archive, DynamoDB and Athena have the same quotes."""
    expected = f"the same quotes of {counts.span} everywhere"
    moments = {(symbol, key.partition("#")[0]) for symbol, key in counts.archived}
    figures = [
        ("archive", len(counts.archived), len(counts.archived)),
        ("DynamoDB", len(counts.rows), len(counts.rows)),
        ("Athena's table lines, without revisions", counts.moments_in_lines, len(moments)),
    ]
    if counts.quotes_in_view is not None:
        figures.append(("Athena's view recent_quotes", counts.quotes_in_view, len(counts.archived)))
    seen = ", ".join(f"{name} {count}" for name, count, _ in figures)
    if counts.batches_given_up:
        return Failed(expected, f"Lambda has discarded {counts.batches_given_up} batches ({seen})")
    if not counts.archived:
        return Failed(expected, f"none in the archive ({seen})")
    if counts.archived != counts.archived_after:
        return Failed(expected, f"quotes of this time still arrive ({seen})")
    without_row = counts.archived - counts.rows if counts.every_quote_has_a_row else frozenset()
    for difference, what in (
        (without_row, "in the archive and not in DynamoDB"),
        (counts.rows - counts.archived, "in DynamoDB and not in the archive"),
    ):
        if difference:
            first = min(difference, key=lambda one: (one[1], one[0]))
            return Failed(expected, f"{len(difference)} {what}, first {first[0]} of {first[1]} ({seen})")
    for name, count, wanted in figures:
        if count != wanted:
            return Failed(expected, f"{name} has {count} in place of {wanted} ({seen})")
    return Passed(f"{counts.span}: {seen}")


def accepted_archived(span: Span, accepted: int, archived: int) -> Verdict:
    """Whether the archive has as many quotes as the producer says that it accepted."""
    if accepted != archived:
        return Failed(f"the {accepted} quotes that the producer accepted from {span}", f"{archived} in the archive")
    return Passed(f"{span}: the producer accepted {accepted} quotes, and the archive has {archived}")


def task_replaced(
    stopped: str, running: Mapping[str, str], notices: Sequence[str], *, announced: bool, has_new_quotes: bool
) -> Verdict:
    """Whether a stopped task was announced and replaced, and whether quotes flow again.

    `running` has the health of each running task by its ARN. `announced` says whether the rule announces such a stop.
    """
    name = stopped.rpartition("/")[2]
    new = {task: health for task, health in running.items() if task != stopped}
    if announced and not any(name in notice for notice in notices):
        return Failed(f"a notice that task {name} stopped", f"{len(notices)} notices, none of them about it")
    if "HEALTHY" not in new.values():
        states = ", ".join(new.values()) or "none"
        return Failed("a new task that is healthy", f"new tasks: {states}")
    if not has_new_quotes:
        return Failed("quotes of the new task", "no quote since it started")
    told = "announced" if announced else "not announced, because the rule TaskStopped leaves out stops by hand"
    return Passed(f"task {name} was stopped ({told}), and {next(iter(new)).rpartition('/')[2]} replaced it")


def polled(symbol: str, symbols: Collection[str]) -> Verdict:
    """Whether a symbol that was added is among those with new quotes."""
    if symbol in symbols:
        return Passed(f"{symbol} was added at run time, and its quotes arrive")
    return Failed(f"quotes of {symbol}", f"new quotes of {len(symbols)} other symbols")


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm of the stage."""

    name: str
    state: str
    description: str
    reason: str
    actions: tuple[str, ...]
    actions_enabled: bool


def alarms_quiet(alarms: Sequence[Alarm], topic: str, watchers: Collection[str] = ()) -> Verdict:
    """Whether every alarm notifies the topic, and none is in ALARM.

    `watchers` are alarms that CloudFormation watches, which may notify nobody.
    """
    if not alarms:
        return Failed("alarms in the stacks of the stage", "none")
    mute = [one.name for one in alarms if one.name not in watchers and topic not in one.actions]
    if mute:
        return Failed("every alarm notifies the operators' topic", f"these do not: {', '.join(mute)}")
    muted = [one.name for one in alarms if one.actions and not one.actions_enabled]
    if muted:
        return Failed("the actions of every alarm are enabled", f"these are disabled: {', '.join(muted)}")
    ringing = [f"{one.name} ({one.description}; {one.reason})" for one in alarms if one.state == "ALARM"]
    if ringing:
        return Failed("no alarm in ALARM", "; ".join(ringing))
    new = sum(one.state == "INSUFFICIENT_DATA" for one in alarms)
    unknown = f", {new} of them without data yet" if new else ""
    return Passed(f"all {len(alarms)} alarms notify the operators, and none is in ALARM{unknown}")


def notified(alarm: str, notices: Sequence[str]) -> Verdict:
    """Whether a notice names an alarm."""
    if any(alarm in notice for notice in notices):
        return Passed(f"the notice of {alarm} arrived")
    return Failed(f"a notice of the alarm {alarm}", f"{len(notices)} notices, none of them about it")


def rolled_back(before: str, after: str, status: str, error: str | None) -> Verdict:
    """Whether the deployment of a failing version ended in a rollback to the version before."""
    if error is None:
        return Failed("the deployment of a version that fails ends in a rollback", f"it succeeded, as version {after}")
    if status != "UPDATE_ROLLBACK_COMPLETE":
        return Failed("the stack processor in UPDATE_ROLLBACK_COMPLETE", f"{status}: {error}")
    if after != before:
        return Failed(f"the alias at version {before} again", f"it is at version {after}")
    return Passed(f"CloudFormation rolled the failing version back, and the alias is at version {before} again")


def api_answered(refused: int, signed: tuple[int, str] | None) -> Verdict:
    """Whether the API refuses a request without a login, and answers one with a login.

    `refused` is the status of the first, and `signed` the status and the body of the second. None if the API takes only
    tokens, which a person gets by logging in.
    """
    if refused not in _REFUSED:
        return Failed("401 or 403 for a request without a login", f"{refused}")
    if signed is None:
        return Passed(f"{refused} without a login; a token needs a person who logs in, so no answer was read")
    status, body = signed
    if status != _ANSWERED:
        return Failed("200 for a signed request", f"{status}: {body[:200]}")
    lanes = len(msgspec.json.decode(body).get("lanes", ()))
    return Passed(f"{refused} without a login, and the status of {lanes} lanes with a signed request")


class SavedQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a saved query."""

    name: str
    error: str | None
    rows: int
    scanned_bytes: int


def queries_answered(wanted: Collection[str], answers: Sequence[SavedQuery]) -> Verdict:
    """Whether all saved queries exist and ran."""
    missing = sorted(set(wanted) - {one.name for one in answers})
    if missing:
        return Failed("each query of infra/athena/queries in the workgroup", f"missing: {', '.join(missing)}")
    failed = [f"{one.name}: {one.error}" for one in answers if one.error is not None]
    if failed:
        return Failed("every saved query succeeds", "; ".join(failed))
    shown = ", ".join(f"{one.name} {one.rows}" for one in answers)
    scanned = sum(one.scanned_bytes for one in answers)
    return Passed(f"rows: {shown}; {scanned / 1e6:,.1f} MB scanned")


def needs_other_engine(answer: str) -> LeftOut | None:
    """The answer of `SELECT typeof(1)` tells Trino, which is Athena's engine, from other engines."""
    if answer == "integer":
        return None
    return LeftOut(f"the SQL engine here is not Athena's: `SELECT typeof(1)` answers {answer!r} and not 'integer'")
