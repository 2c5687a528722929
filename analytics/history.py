"""The history and the completion of the prompt, where Python has readline."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Self

MAX_LINES = 1_000
"""How many lines the file keeps."""


class History:
    """While it is entered, `input` knows the lines of a file and completes words with Tab.

    Only this user can read the file. Without readline there is neither, and a file that cannot be read or written has
    no effect.
    """

    def __init__(self, file: Path, words: Iterable[str]) -> None:
        self._file, self._words = file, sorted(set(words))
        self._readline = _readline()
        self._saved = 0

    def __enter__(self) -> Self:
        if readline := self._readline:
            with suppress(OSError):
                readline.read_history_file(self._file)
            self._saved = readline.get_current_history_length()
            readline.set_history_length(MAX_LINES)
            readline.set_completer(self._completed)
            readline.parse_and_bind("bind ^I rl_complete" if _is_libedit(readline) else "tab: complete")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._readline:
            self._readline.set_completer(None)

    def save(self) -> None:
        """Add what was typed since the last call to the file."""
        if not (readline := self._readline):
            return
        length = readline.get_current_history_length()
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.touch(mode=0o600)
            self._file.chmod(0o600)
            if _is_libedit(readline):
                readline.write_history_file(self._file)
            else:  # another prompt may have added lines meanwhile
                readline.append_history_file(length - self._saved, self._file)
        self._saved = length

    def _completed(self, text: str, number: int) -> str | None:
        found = [word for word in self._words if text and word.startswith(text.lower())]
        return found[number] if number < len(found) else None


def _readline() -> ModuleType | None:
    try:
        import readline  # noqa: PLC0415  (some platforms lack it)
    except ImportError:
        return None
    return readline


def _is_libedit(readline: ModuleType) -> bool:
    return "libedit" in (readline.__doc__ or "")
