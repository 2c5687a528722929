"""Every raw object of an arrival day that was ever read counts once, whatever came late, expired or came back."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from compaction import counted
from compaction.counted import Counts
from compaction.errors import Conflict, Damaged
from tests.fakes.stopped_calls import Killed, Stopping

DAY = date(2026, 11, 23)
KEY = "compacted/counted/2026-11-23.json.gz"


def nothing() -> None:
    pass


class MemoryArchive:
    """The part of `compaction.ports.Archive` that is used here."""

    root = "memory"

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.writes = 0
        self.before_write: Callable[[], None] = nothing

    def get_tagged(self, key: str) -> tuple[bytes, str] | None:
        """See `compaction.ports.Archive`."""
        return self.objects.get(key)

    def put(self, key: str, body: bytes, *, replaces: str | None) -> None:
        """See `compaction.ports.Archive`."""
        before, self.before_write = self.before_write, nothing
        before()
        found = self.objects.get(key)
        if (None if found is None else found[1]) != replaces:
            raise Conflict(key)
        self.writes += 1
        self.objects[key] = body, str(self.writes)


def counts_of(keys: frozenset[str]) -> Counts:
    """Object `n` has 2**n lines, so a sum tells which objects it counts, and whether one counts twice."""
    return Counts(
        objects=len(keys),
        bytes=10 * len(keys),
        quote_lines=sum(2 ** int(key) for key in keys),
        lanes=max(map(int, keys), default=None),
        first_event_day=min((DAY.replace(day=int(key) + 1) for key in keys), default=None),
        last_event_day=max((DAY.replace(day=int(key) + 1) for key in keys), default=None),
    )


class History:
    """An arrival day to which things happen. `ever` are the objects that were read."""

    def __init__(self) -> None:
        self.archive: Any = MemoryArchive()
        self.present: frozenset[str] = frozenset()
        self.ever: frozenset[str] = frozenset()

    def happen(self, steps: list[Any]) -> None:
        for what, argument in steps:
            match what:
                case "arrive":
                    self.present |= argument
                case "expire":
                    self.present -= argument
                case "run" | "run that writes late":
                    self.run(argument, is_late=what != "run")
                case "killed":
                    with suppress(Killed):
                        self.run([], killed=argument)
            self.check()

    def run(self, meanwhile: list[Any], *, is_late: bool = False, killed: str | None = None) -> None:
        """A run. While it reads what it has listed, or just before it writes, other things happen."""
        if not self.present:
            return
        stopping = Stopping(None if killed is None else 3, is_after=killed == "after its write")
        archive: Any = stopping.wrapped(self.archive)
        present = self.present
        uncounted = counted.read(archive, DAY).uncounted(present)
        if is_late:
            self.archive.before_write = partial(self.happen, meanwhile)
        else:
            self.happen(meanwhile)
        try:
            noted = counted.add(archive, DAY, present, uncounted, counts_of(uncounted))
            assert noted == counted.read(self.archive, DAY)
        except Conflict:  # another run has read some of them: the next run reads the day again
            assert any(what not in {"arrive", "expire"} for what, _ in meanwhile)
            return
        except Killed:
            if killed == "after its write":
                self.ever |= present
            raise
        finally:
            self.archive.before_write = nothing
        self.ever |= present

    def check(self) -> None:
        assert counted.read(self.archive, DAY) == counted.Counted(self.ever, counts_of(self.ever))


SOME = st.frozensets(st.sampled_from("01234"), min_size=1)
CHANGES = st.sampled_from(("arrive", "expire")).flatmap(lambda what: st.tuples(st.just(what), SOME))
KILLED = st.tuples(st.just("killed"), st.sampled_from(("before its write", "after its write")))
STEPS = st.recursive(
    st.lists(CHANGES | KILLED, max_size=6),
    lambda steps: st.lists(
        CHANGES | KILLED | st.tuples(st.sampled_from(("run", "run that writes late")), steps), max_size=8
    ),
    max_leaves=12,
)


@given(STEPS)
@example([("arrive", frozenset("0")), ("run", [("arrive", frozenset("1")), ("run", [])])])
@example([("arrive", frozenset("0")), ("run that writes late", [("arrive", frozenset("1")), ("run", [])])])
@example(
    [
        ("arrive", frozenset("0")),
        ("run that writes late", [("expire", frozenset("0")), ("arrive", frozenset("1")), ("run", [])]),
    ]
)
@example(
    [
        ("arrive", frozenset("01")),
        ("run", [("expire", frozenset("0")), ("arrive", frozenset("2")), ("run", [])]),
    ]
)
@example([
    ("arrive", frozenset("01")),
    ("run", []),
    ("expire", frozenset("01")),
    ("arrive", frozenset("23")),  # as many as have expired
    ("run", []),
    ("expire", frozenset("2")),
    ("arrive", frozenset("04")),  # one comes back
    ("run", []),
])  # fmt: skip
def test_every_object_that_was_ever_read_counts_once(steps: list[Any]) -> None:
    history = History()
    history.happen(steps)
    history.run([])  # alone, so without a conflict
    history.check()
    writes = history.archive.writes
    history.run([])
    assert history.archive.writes == writes


def test_while_all_objects_are_there_the_day_is_counted_anew() -> None:
    archive: Any = MemoryArchive()
    first, both = frozenset("1"), frozenset("12")
    counted.add(archive, DAY, first, first, Counts(objects=1, quarantined=3, packets=7))
    assert counted.read(archive, DAY).uncounted(both) == both
    # The two objects have refused lines and polls in common.
    together = Counts(objects=2, quarantined=3, packets=8)
    assert counted.add(archive, DAY, both, both, together).counts == together


def test_a_damaged_object_is_named() -> None:
    archive: Any = MemoryArchive()
    for body in (b"", b"no gzip", gzip.compress(b"{"), gzip.compress(msgspec.json.encode({"keys": 1}))):
        archive.objects[KEY] = body, "tag"
        with pytest.raises(Damaged, match=r"memory/compacted/counted/2026-11-23\.json\.gz is damaged: .* delete it"):
            counted.read(archive, DAY)
