"""The history of the prompt is bounded, private and dispensable."""

from __future__ import annotations

import readline
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics.history import MAX_LINES, History


@pytest.fixture(autouse=True)
def _own_history() -> Iterator[None]:
    readline.clear_history()
    yield
    readline.clear_history()


def lines_after(file: Path, *typed: str) -> list[str]:
    """The lines of the file after a prompt in which some lines were typed."""
    readline.clear_history()
    with History(file, ()) as history:
        for line in typed:
            readline.add_history(line)
            history.save()
    return file.read_text().splitlines()


def test_each_prompt_adds_its_lines_to_a_file_of_this_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "state" / "history"
    assert lines_after(file, "one", "two") == ["one", "two"]
    assert lines_after(file, "three") == ["one", "two", "three"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_file_keeps_so_many_lines(tmp_path: Path) -> None:
    file = tmp_path / "history"
    file.write_text("".join(f"{number}\n" for number in range(MAX_LINES)))
    assert lines_after(file, "newest") == [*map(str, range(1, MAX_LINES)), "newest"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written_has_no_effect(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with History(tmp_path / "file" / "history", ()) as history:
        readline.add_history("select 1;")
        history.save()


def test_without_readline_there_is_no_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "readline", None)
    with History(tmp_path / "history", ()) as history:
        history.save()
    assert list(tmp_path.iterdir()) == []
