"""What comes of a step. Pure."""

from __future__ import annotations

import msgspec


class Passed(msgspec.Struct, frozen=True, tag_field="verdict", tag="passed"):
    """The step saw what it expected."""

    seen: str


class Failed(msgspec.Struct, frozen=True, tag_field="verdict", tag="failed"):
    """The step saw something else, or nothing until its time limit."""

    expected: str
    seen: str


class LeftOut(msgspec.Struct, frozen=True, tag_field="verdict", tag="left out"):
    """The step did not run, or it could not show anything here."""

    why: str


Verdict = Passed | Failed | LeftOut


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A step that is over."""

    step: str
    title: str
    look_at: str
    """Where to look if it failed."""
    limit_seconds: float
    seconds: float
    """How long it took."""
    verdict: Verdict


def word(verdict: Verdict) -> str:
    """The verdict in one or two words."""
    match verdict:
        case Passed():
            return "passed"
        case Failed():
            return "failed"
        case LeftOut():
            return "left out"


def sentence(result: Result) -> str:
    """What a step saw. For a failure also what it expected and where to look."""
    match result.verdict:
        case Passed(seen=seen):
            return seen
        case LeftOut(why=why):
            return why
        case Failed(expected=expected, seen=seen):
            return f"expected: {expected}; seen: {seen}; look at: {result.look_at}"
