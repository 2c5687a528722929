"""The accepted log: a file with the identity of every accepted quote.

The producer writes it outside the delivery path, so that tests and the demo can prove that no accepted quote was lost.
The entries are committed to the journal together with their quotes, and are written to the file afterwards. So after a
kill between the two, the next start adds what the file lacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import msgspec

from producer_service.private_files import make_directory, make_file
from quotes import Identity, from_iso, to_iso


class AcceptedLog:
    """A file of JSON Lines such as `{"symbol":"AAPL","event_time":"2026-11-23T14:30:00.000Z","revision":0}`.

    Without a path it writes nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._file: IO[bytes] | None = None
        self._is_known = False
        if path is not None:
            make_directory(path.parent)
            make_file(path)
            self._file = path.open("a+b", buffering=0)

    def entries(self, identities: Iterable[Identity]) -> bytes:
        """The lines of accepted quotes, to be committed with them; empty without a path."""
        if self._file is None:
            return b""
        return b"".join(map(_entry, identities))

    def write(self, entries: bytes) -> None:
        """Add committed lines. The operating system has them when this returns.

        The first lines after the start may be in the file already, in whole or in part, as a crash left them. Then only
        the rest is added. The same holds after an error, such as a full disk.
        """
        if self._file is None:
            return
        if not self._is_known:
            entries = self._rest_of(entries)
        self._is_known = False
        while entries:
            entries = entries[self._file.write(entries) :]
        self._is_known = True

    def append(self, identities: Iterable[Identity]) -> None:
        """Add the identities of quotes that no journal has."""
        self.write(self.entries(identities))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _rest_of(self, entries: bytes) -> bytes:
        """What the end of the file lacks of some lines. A line that was cut short is removed."""
        assert self._file is not None  # noqa: S101  (the caller has looked)
        end = self._file.seek(0, 2)
        start = max(0, end - len(entries) - _MAX_LINE_BYTES)
        self._file.seek(start)
        found = self._file.read(end - start) or b""
        whole = found[: found.rfind(b"\n") + 1]
        self._file.truncate(start + len(whole))
        known = entries
        while not _ends_with(whole, known):
            known = known[: known.rfind(b"\n", 0, -1) + 1]  # without its last line
        return entries[len(known) :]


_MAX_LINE_BYTES = 4_096


def _ends_with(found: bytes, lines: bytes) -> bool:
    return found.endswith(lines) and found[: len(found) - len(lines)][-1:] in (b"", b"\n")


def _entry(identity: Identity) -> bytes:
    symbol, event_time, revision = identity
    return msgspec.json.encode({"symbol": symbol, "event_time": to_iso(event_time), "revision": revision}) + b"\n"


def read(path: Path) -> Iterator[Identity]:
    """The identities in a log, in the order of their acceptance. A line that a crash cut short is left out."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                entry = msgspec.json.decode(line)
                yield Identity(entry["symbol"], from_iso(entry["event_time"]), entry["revision"])
