"""What the design promises, one judge each: a run of the model goes in, what it broke comes out."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from tests.model.runs import Run, is_of_alert

Judge = Callable[[Run], Iterable[str]]
Key = TypeVar("Key")


def each_identity_is_one_row(run: Run) -> Iterator[str]:
    """Or each minute is, where that is the resolution."""
    yield from _differences(run.effects.rows, run.expected.rows)


def bars_equal_one_undisturbed_pass(run: Run) -> Iterator[str]:
    """Also at every moment before the end, and so does the state that the next line meets."""
    yield from _differences(run.effects.bars, run.expected.bars)
    for bar in run.journal.bars:
        if run.expected.bars.get(bar.key) != bar.row:
            yield f"invocation {bar.invocation} showed {bar.row}"
    yield from _differences(run.effects.states, run.expected.states)


def no_alert_is_lost(run: Run) -> Iterator[str]:
    yield from (f"{id_} was not published" for id_ in run.expected.alerts.keys() - run.effects.alerts.keys())


def an_alert_is_the_same_under_its_id_whenever_it_is_published(run: Run) -> Iterator[str]:
    for published in run.journal.alerts:
        if run.expected.alerts.get(published.alert.id) != published.alert:
            yield f"invocation {published.invocation} published {published.alert}"


def an_alert_repeats_once_per_invocation_that_ended_before_its_mark(run: Run) -> Iterator[str]:
    """Ended means: was killed, failed or was abandoned. The mark is due before an alert of another lane."""
    by_id: dict[str, list[int]] = defaultdict(list)
    unexcused: dict[str, list[int]] = defaultdict(list)
    for index, published in enumerate(run.journal.alerts):
        id_, number = published.alert.id, published.invocation
        if number in by_id[id_]:
            yield f"invocation {number} published {id_} twice"
        by_id[id_].append(number)
        if not _ended_before_the_mark(run, index):
            unexcused[id_].append(number)
    for id_, numbers in unexcused.items():
        if len(numbers) > 1:
            yield f"invocations {numbers} published {id_}, and nothing befell them before its mark was due"


def nothing_is_shown_before_its_commit(run: Run) -> Iterator[str]:
    yield from (
        f"invocation {shown.invocation} showed {shown.row}"
        for shown in run.journal.bars + run.journal.minute_rows
        if not shown.committed
    )
    yield from (
        f"invocation {published.invocation} published {published.alert.id}"
        for published in run.journal.alerts
        if published.place is None
    )


def refused_lines_arrive_under_one_id(run: Run) -> Iterator[str]:
    """What was discarded may arrive under its own id, and does under that of its record put again."""
    for message in run.cloud.messages:
        expected = run.expected.messages.get(message.id)
        if expected is None:
            yield f"{message} is of no refused line"
        elif message != expected and not (is_of_alert(message) and message.content == expected.content):
            yield f"{message} is not {expected}"
    for id_, message in run.expected.messages.items():
        given_up = not is_of_alert(message) and int(message.sequence_number) in run.discarded
        if not given_up and id_ not in run.effects.messages:
            yield f"{message} did not arrive"


def what_a_message_points_to_is_there(run: Run) -> Iterator[str]:
    """When it arrives: an object with the lines that it stands for."""
    for message, body in run.journal.pointers:
        lines = [] if body is None else gzip.decompress(body).splitlines()
        found = [json.loads(line)["id"].rpartition("/")[0] for line in lines]
        if found != [message.id] * message.lines:
            yield f"{message} arrived, and at {message.object} was {found}"


def the_archive_is_complete(run: Run) -> Iterator[str]:
    """What was shown of a batch before it was given up stands in the archive as well, redriven or not."""
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
                yield f"{symbol} of {timestamp} was a row and not in the archive before the redrive"


def the_published_mark_never_falls(run: Run) -> Iterator[str]:
    yield from run.journal.fallen_marks


def no_batch_fails_without_a_fault(run: Run) -> Iterator[str]:
    if run.endless:
        yield "a batch came again without end"
    for invocation in run.invocations:
        if invocation.undisturbed and invocation.trouble is not None:
            yield f"invocation {invocation.number} failed, and nothing befell it"


JUDGES: tuple[Judge, ...] = (
    no_batch_fails_without_a_fault,
    each_identity_is_one_row,
    bars_equal_one_undisturbed_pass,
    no_alert_is_lost,
    an_alert_is_the_same_under_its_id_whenever_it_is_published,
    an_alert_repeats_once_per_invocation_that_ended_before_its_mark,
    nothing_is_shown_before_its_commit,
    refused_lines_arrive_under_one_id,
    what_a_message_points_to_is_there,
    the_archive_is_complete,
    the_published_mark_never_falls,
)


def broken_promises(run: Run) -> dict[str, list[str]]:
    """By the promise's name, in what it was broken."""
    found = {judge.__name__: list(judge(run)) for judge in JUDGES}
    return {promise: complaints for promise, complaints in found.items() if complaints}


def _differences(found: Mapping[Key, object], expected: Mapping[Key, object]) -> Iterator[str]:
    for key in dict.fromkeys([*expected, *found]):
        if found.get(key) != expected.get(key):
            yield f"{key}: {found.get(key)} instead of {expected.get(key)}"


def _ended_before_the_mark(run: Run, index: int) -> bool:
    """Whether who published an alert was killed, failed or was abandoned before the mark stood at its number.

    Not so if it had gone on to another lane's alerts by then.
    """
    published = run.journal.alerts[index]
    trouble = run.invocations[published.invocation].trouble
    if published.place is None or trouble is None:
        return False
    lane, number = published.place
    went_on = any(
        later.invocation == published.invocation and later.place is not None and later.place[0] != lane
        for later in run.journal.alerts[index + 1 : trouble.alerts]
    )
    return trouble.marks.get(lane, 0) < number and not went_on
