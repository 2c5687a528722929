"""The invariants of the commit protocol. Each is a function that takes a run and yields the violations it finds."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from tests.model.runs import Run, is_about_alert

Invariant = Callable[[Run], Iterable[str]]
Key = TypeVar("Key")


def each_identity_is_one_row(run: Run) -> Iterator[str]:
    """Each identity is one row. If one row a minute is written, each minute is."""
    yield from _differences(run.effects.rows, run.expected.rows)


def bars_equal_one_undisturbed_pass(run: Run) -> Iterator[str]:
    """Bars and states are those of one pass without a fault. No other bar is visible at any time."""
    yield from _differences(run.effects.bars, run.expected.bars)
    for bar in run.history.bars:
        if run.expected.bars.get(bar.key) != bar.row:
            yield f"invocation {bar.invocation} wrote {bar.row}"
    yield from _differences(run.effects.states, run.expected.states)


def no_alert_is_lost(run: Run) -> Iterator[str]:
    """Every expected alert is published."""
    yield from (f"{id_} was not published" for id_ in run.expected.alerts.keys() - run.effects.alerts.keys())


def alerts_with_the_same_id_are_equal(run: Run) -> Iterator[str]:
    """Every published alert is the expected alert with its id."""
    for published in run.history.alerts:
        if run.expected.alerts.get(published.alert.id) != published.alert:
            yield f"invocation {published.invocation} published {published.alert}"


def each_alert_is_stored_once_as_it_was_committed(run: Run) -> Iterator[str]:
    """Every alert that a commit decided is one item with its content, and there are no others.

    An item is stored before SNS has the alert, and writing it again changes nothing.
    """
    yield from _differences(run.effects.stored_alerts, run.expected.stored_alerts)
    for published in run.history.alerts:
        if not published.is_stored:
            yield f"invocation {published.invocation} published {published.alert.id} before it was stored"
    for visible in run.history.stored_alerts:
        if visible.replaced is not None:
            yield f"invocation {visible.invocation} stored {visible.stored} in the place of {visible.replaced}"


def each_quote_counts_once(run: Run) -> Iterator[str]:
    """The states count each quote that was committed exactly once, on the day on which its record arrived."""
    yield from _differences(run.effects.quotes, run.expected.quotes)


def an_alert_repeats_only_after_a_fault_before_its_mark(run: Run) -> Iterator[str]:
    """An alert is published twice only if a fault hit its invocation before it raised the mark of the alert.

    An invocation raises the mark of a lane before it publishes the alerts of another lane.
    """
    publishers: dict[str, list[int]] = defaultdict(list)
    unexcused: dict[str, list[int]] = defaultdict(list)
    for index, published in enumerate(run.history.alerts):
        id_, number = published.alert.id, published.invocation
        if number in publishers[id_]:
            yield f"invocation {number} published {id_} twice"
        publishers[id_].append(number)
        if not _had_fault_before_mark(run, index):
            unexcused[id_].append(number)
    for id_, numbers in unexcused.items():
        if len(numbers) > 1:
            yield f"invocations {numbers} published {id_}, and had no fault before they raised its mark"


def nothing_is_visible_before_its_commit(run: Run) -> Iterator[str]:
    """Bars, rows of minutes and alerts only appear after a commit has decided them."""
    yield from (
        f"invocation {visible.invocation} wrote {visible.row}"
        for visible in run.history.bars + run.history.minute_rows
        if not visible.is_committed
    )
    yield from (
        f"invocation {visible.invocation} stored {visible.stored}"
        for visible in run.history.stored_alerts
        if not visible.is_committed
    )
    yield from (
        f"invocation {published.invocation} published {published.alert.id}"
        for published in run.history.alerts
        if published.decided is None
    )


def refused_lines_arrive_under_one_id(run: Run) -> Iterator[str]:
    """Every refused line and alert arrives, always under the same id.

    The lines of a discarded record may arrive under its sequence number. They do arrive under that of the redriven one.
    """
    for message in run.cloud.messages:
        expected = run.expected.messages.get(message.id)
        if expected is None:
            yield f"{message} is about no refused line"
        elif message != expected and not (is_about_alert(message) and message.content == expected.content):
            yield f"{message} is not {expected}"
    for id_, message in run.expected.messages.items():
        is_discarded = not is_about_alert(message) and int(message.sequence_number) in run.discarded
        if not is_discarded and id_ not in run.effects.messages:
            yield f"{message} did not arrive"


def the_object_of_a_message_exists(run: Run) -> Iterator[str]:
    """When a message that points to an object arrives, the object exists and has all of its lines."""
    for message, body in run.history.pointers:
        lines = [] if body is None else gzip.decompress(body).splitlines()
        found = [json.loads(line)["id"].rpartition("/")[0] for line in lines]
        if found != [message.id] * message.lines:
            yield f"{message} arrived, and {message.object} contained {found}"


def the_archive_is_complete(run: Run) -> Iterator[str]:
    """The archive has every line of the stream and no others.

    Rows that a batch wrote before it was discarded are in the archive as well, even if it is never redriven.
    """
    numbers = {str(number) for number in run.discarded}
    missing = run.expected.archived - run.effects.archived
    yield from (f"{line!r} is missing" for line in missing if json.loads(line).get("sequence_number") not in numbers)
    yield from (f"{line!r} was in no record" for line in run.effects.archived - run.expected.archived)
    if run.before_redrive is not None:
        archived = {
            (line["symbol"], line["event_time"], line.get("revision", 0))
            for line in map(json.loads, run.before_redrive.archived)
            if line["kind"] == "quote"
        }
        for symbol, timestamp in run.before_redrive.rows:
            time, _, revision = timestamp.partition("#")
            if (symbol, time, int(revision or 0)) not in archived:
                yield f"{symbol} of {timestamp} was a row before the redrive, but not in the archive"


def the_published_mark_never_falls(run: Run) -> Iterator[str]:
    """A published mark is never lowered."""
    yield from run.history.lowered_marks


def no_batch_fails_without_a_fault(run: Run) -> Iterator[str]:
    """An invocation only fails if it had a fault or another one ran at the same time, and every run ends."""
    if run.never_ended:
        yield "a batch was delivered again and again"
    for invocation in run.invocations:
        if invocation.is_undisturbed and invocation.first_fault is not None:
            yield f"invocation {invocation.number} failed without a fault"


INVARIANTS: tuple[Invariant, ...] = (
    no_batch_fails_without_a_fault,
    each_identity_is_one_row,
    bars_equal_one_undisturbed_pass,
    no_alert_is_lost,
    alerts_with_the_same_id_are_equal,
    each_alert_is_stored_once_as_it_was_committed,
    each_quote_counts_once,
    an_alert_repeats_only_after_a_fault_before_its_mark,
    nothing_is_visible_before_its_commit,
    refused_lines_arrive_under_one_id,
    the_object_of_a_message_exists,
    the_archive_is_complete,
    the_published_mark_never_falls,
)


def violations(run: Run) -> dict[str, list[str]]:
    """The violations in a run, by the name of the invariant. Empty if there are none."""
    found = {invariant.__name__: list(invariant(run)) for invariant in INVARIANTS}
    return {name: problems for name, problems in found.items() if problems}


def _differences(found: Mapping[Key, object], expected: Mapping[Key, object]) -> Iterator[str]:
    for key in dict.fromkeys([*expected, *found]):
        if found.get(key) != expected.get(key):
            yield f"{key}: {found.get(key)} instead of {expected.get(key)}"


def _had_fault_before_mark(run: Run, index: int) -> bool:
    """Whether the publisher of an alert had its first fault before it raised the lane's mark to the alert's number.

    False if it had published an alert of another lane by then.
    """
    published = run.history.alerts[index]
    fault = run.invocations[published.invocation].first_fault
    if published.decided is None or fault is None:
        return False
    lane, number = published.decided
    went_on = any(
        later.invocation == published.invocation and later.decided is not None and later.decided[0] != lane
        for later in run.history.alerts[index + 1 : fault.alerts]
    )
    return fault.marks.get(lane, 0) < number and not went_on
