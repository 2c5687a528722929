"""The accepted log: a file with the identity of every accepted quote.

The producer writes it outside the delivery path, so that tests and the demo can prove that no accepted quote was lost.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import msgspec

from quotes import Identity, from_iso, to_iso

MAX_LINE_BYTES = 4_096


class AcceptedLog:
    """A file of JSON Lines such as `{"symbol":"AAPL","event_time":"2026-11-23T14:30:00.000Z","revision":0}`.

    Without a path it writes nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._file: IO[bytes] | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
            _remove_partial_line(self._file)

    def append(self, identities: Iterable[Identity]) -> None:
        """Add the identities of accepted quotes. The operating system has them when this returns."""
        if self._file is None:
            return
        for symbol, event_time, revision in identities:
            entry = {"symbol": symbol, "event_time": to_iso(event_time), "revision": revision}
            self._file.write(msgspec.json.encode(entry) + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _remove_partial_line(file: IO[bytes]) -> None:
    """Remove a line that a crash cut short. Otherwise the next line would be joined to it."""
    start = max(0, file.seek(0, os.SEEK_END) - MAX_LINE_BYTES)
    file.seek(start)
    file.truncate(start + file.read().rfind(b"\n") + 1)


def read(path: Path) -> Iterator[Identity]:
    """The identities in a log, in the order of their acceptance. A line that a crash cut short is left out."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                entry = msgspec.json.decode(line)
                yield Identity(entry["symbol"], from_iso(entry["event_time"]), entry["revision"])
