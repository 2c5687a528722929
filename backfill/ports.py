"""What a backfill needs of the outside, as protocols. Each call may raise what its adapter names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from backfill.chunks import Chunk, FinishedChunk
from bars.resolutions import Span
from lane_state import Split
from processor_lambda.rows import Row
from quotes import Action

OnRow = Callable[[bool], None]
"""Is called after each row, with whether it was written."""


def ignored(_: object) -> None:
    """Do nothing, for callers that do not need to know."""


class Bars(Protocol):
    """The table of bars. Reads are consistent: they return every row that was written before."""

    def between(self, symbol: str, first: str, last: str) -> list[Row]:
        """The rows of a symbol whose keys are from `first` to `last`, both inclusive, in order."""

    def provenances(self, symbol: str, first: str, last: str) -> dict[str, str]:
        """The provenance of each bar of a symbol whose key is from `first` to `last`, both inclusive, by key."""

    def before(self, symbol: str, minute: datetime, count: int) -> list[Row]:
        """The last minutes of a symbol before a minute, at most `count`, oldest first."""

    def put(self, rows: Sequence[Row]) -> None:
        """Write rows. A row replaces the stored row with the same key."""

    def put_bars(self, rows: Sequence[Row], *, over_stream: bool, on_row: OnRow = ignored) -> int:
        """Write each row unless a bar of the stream or of a rebuild is stored under its key. Returns how many it wrote.

        With `over_stream`, a bar of the stream is replaced too.
        """

    def put_unless_changed(self, rows: Sequence[Row], on_row: OnRow = ignored) -> int:
        """Replace each stored bar that still has the prices, the volume and the provenance of the row.

        Returns how many it replaced.
        """

    def put_note(self, row: Row, read: int) -> bool:
        """Write a row of `refold_note` if the stored one still has the version `read`, 0 if there is none.

        Returns whether it did.
        """


class Chunks(Protocol):
    """The archive of finished chunks."""

    def stored(self, symbol: str, resolution: str) -> list[Chunk]:
        """The archived chunks of a symbol and a resolution."""

    def get(self, chunk: Chunk) -> bytes | None:
        """The bytes of an archived chunk. None if there is none."""

    def put(self, chunk: Chunk, content: bytes) -> None:
        """Archive a chunk. It replaces the one with the same symbol, resolution and times."""


class Charts(Protocol):
    """The source's history."""

    def fetch(self, chunk: Chunk, sessions: Sequence[Span], splits: Sequence[Action]) -> FinishedChunk:
        """Ask for a chunk by one request.

        `sessions` are those of the chunk's days, or none if nobody knows them. `splits` are all that took effect after
        the chunk begins, because the source's own prices are in the shares of today. Raises `SourceError` of
        `yahoo_requests.errors` if there is no usable answer, `UnknownSymbol`, `OtherCurrency`, and `Forgotten`.
        """


class LiveIndicators(Protocol):
    """The indicators in the states of the lanes, from which the stream goes on."""

    def refold(self, symbol: str, splits: Sequence[Split]) -> bool:
        """Compute a symbol's live indicators again from its stored bars. Returns whether they changed.

        Raises `LaneIsBusy` if the stream function commits the lane each time.
        """

    def split_of(self, symbol: str) -> Split | None:
        """The last split that changed the live indicators of a symbol, as far as the lane remembers it."""
