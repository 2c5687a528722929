"""Lays a running demo out for a window of any size. Pure: lines of text from values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from rich.cells import cell_len
from rich.text import Text

from replica.monitor import Price, Snapshot

PAGE_SECONDS = 4.0
"""How long a page of prices is shown, if there are several."""
FEWEST_ROWS = 8
"""A page of prices has at least this many rows before it gets another column."""
_SPACE = 2
"""The cells between two columns of a table."""


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What the window shows. All texts are harmless already."""

    state: str
    """Such as `running`."""
    prices: str
    """What kind of prices these are, such as `simulated prices`."""
    snapshot: Snapshot
    notes: tuple[str, ...] = ()
    """Why prices are missing, and the last warning."""
    alerts: tuple[tuple[float, str], ...] = ()
    """When each alert came, in seconds since the start, and its text. The newest is the first."""
    reports: tuple[str, ...] = ()
    """Lines that are on the terminal behind the window, or will be. The newest is the last."""
    hint: str = ""
    """The last line: where more is to be seen, and how to stop."""


def figures(snapshot: Snapshot) -> str:
    """The figures of the pipeline in one line."""
    return (
        f"{snapshot.stored:,} quotes stored, {snapshot.quotes_per_second:,.0f}/s, "
        f"latency p50 {seconds_text(snapshot.p50)} p99 {seconds_text(snapshot.p99)}"
    )


def seconds_text(value: float | None) -> str:
    """A duration in seconds, or a dash if it is unknown."""
    return "-" if value is None else f"{value:.2f} s"


def lines_of(frame: Frame, width: int, height: int, elapsed: float, *, ascii_only: bool = False) -> list[Text]:
    """Exactly `height` lines of `width` cells, whatever the window and the frame hold. `elapsed` selects the page."""
    window = _Window(width, ascii_only=ascii_only)
    title = f"stockstream: {frame.prices}" if frame.prices else "stockstream"
    head = [window.sides(title, f"{frame.state} {_clock(elapsed)}", "bold")]
    head.append(window.line(figures(frame.snapshot), "bold"))
    foot = [window.line(frame.hint, "dim")] if height > len(head) else []
    free = height - len(head) - len(foot)
    notes = window.first_lines(frame.notes, "yellow", most=max(2, free // 4))
    free -= len(notes)
    # Each part has a heading. Alerts and messages have a small part each, and what the prices leave.
    alerts_need, messages_need = 1 + max(1, len(frame.alerts)), window.rows_of_messages(frame.reports)
    for_alerts = min(alerts_need, max(2, free // 4))
    for_messages = min(messages_need, free // 5) if free // 5 > 1 else 0
    prices = window.table(frame.snapshot.prices, free - for_alerts - for_messages - 1, elapsed)
    free -= len(prices)
    for_messages = min(messages_need, max(for_messages, free - max(for_alerts, min(alerts_need, free // 2))))
    foot = [*window.messages(frame.reports, for_messages - 1), *foot]
    alerts = window.alerts(frame.alerts, free - for_messages - 1)
    body = [*head, *notes, *prices, *alerts]
    gap = [window.line("")] * (height - len(body) - len(foot))
    return [*body, *gap, *foot][: max(height, 0)]


class _Window:
    """Makes lines that are as wide as the window."""

    def __init__(self, width: int, *, ascii_only: bool) -> None:
        self._width = max(width, 1)
        self._rule, self._more = ("-", "...") if ascii_only else ("─", "…")
        self._ascii_only = ascii_only

    def line(self, text: str | Text, style: str = "") -> Text:
        """One line, cut or padded to the width."""
        shown = text.copy() if isinstance(text, Text) else Text(text, style=style)
        if cell_len(shown.plain) > self._width and not self._ascii_only:
            shown.truncate(self._width, overflow="ellipsis")
        shown.truncate(self._width, overflow="crop", pad=True)
        return shown

    def sides(self, left: str, right: str, style: str) -> Text:
        """A line with a text at each side. The right one is left out if there is no room for it."""
        room = self._width - cell_len(left) - cell_len(right)
        return self.line(f"{left}{' ' * room}{right}" if room > 0 else left, style)

    def heading(self, text: str) -> Text:
        """The first line of a part."""
        line = Text.assemble((f"{self._rule}{self._rule} ", "dim"), (text, "bold"), " ")
        line.append(self._rule * (self._width - cell_len(line.plain)), "dim")
        return self.line(line)

    def folded(self, texts: Iterable[str]) -> list[str]:
        """Texts in lines that are not too wide."""
        return [line for text in texts for line in _folded(text, self._width)]

    def first_lines(self, texts: Iterable[str], style: str, *, most: int) -> list[Text]:
        """The first lines of texts, with a mark if there are more."""
        lines = self.folded(texts)
        if len(lines) > most:
            lines = [*lines[: most - 1], f"{lines[most - 1]} {self._more}"]
        return [self.line(line, style) for line in lines]

    def rows_of_messages(self, texts: Iterable[str]) -> int:
        """How many rows all messages need."""
        lines = self.folded(texts)
        return 1 + len(lines) if lines else 0

    def messages(self, texts: Sequence[str], rows: int) -> list[Text]:
        """The newest messages that fit as a whole, or the end of the newest."""
        shown: list[str] = []
        for text in reversed(texts):
            lines = self.folded([text])
            if shown and len(shown) + len(lines) > rows:
                break
            shown = [*lines, *shown]
        return [self.heading("messages"), *(self.line(line, "dim") for line in shown[-rows:])] if rows > 0 else []

    def alerts(self, alerts: Sequence[tuple[float, str]], rows: int) -> list[Text]:
        """The newest alerts, one a line."""
        if rows < 1:
            return []
        lines = [self.heading("alerts, newest first")]
        for seconds, text in alerts[:rows]:
            lines.append(self.line(Text.assemble((f"{_clock(seconds):>7}  ", "dim"), (text, "yellow"))))
        return lines if alerts else [*lines, self.line("none yet", "dim")]

    def table(self, prices: Sequence[Price], rows: int, elapsed: float) -> list[Text]:
        """The last prices, from the top to the bottom and then to the right, in pages if they do not fit."""
        if rows < 1:
            return []
        if not prices:
            return [self.heading("last prices stored"), self.line("none yet", "dim")]
        cells = [(price.symbol, price.text, price.change_text) for price in prices]
        widths = [max(len(cell[number]) for cell in cells) for number in range(3)]  # symbols and numbers are ASCII
        others = widths[1] + widths[2] + 2 * _SPACE
        widths[0] = max(1, min(widths[0], self._width - others))
        wide = widths[0] + others
        most_columns = max(1, (self._width + 2 * _SPACE) // (wide + 2 * _SPACE))
        rows = min(rows, max(FEWEST_ROWS, -(-len(cells) // most_columns)), len(cells))
        columns = min(most_columns, -(-len(cells) // rows))
        pages = -(-len(cells) // (rows * columns))
        page = int(elapsed / PAGE_SECONDS) % pages
        shown = cells[page * rows * columns :][: rows * columns]
        title = "last prices stored" + (f", page {page + 1} of {pages}" if pages > 1 else "")
        lines = [self.heading(title)]
        for row in range(rows):
            line = Text()
            for cell in shown[row::rows]:
                if line:
                    line.append(" " * 2 * _SPACE)
                self._append(line, cell, widths)
            lines.append(self.line(line))
        return lines

    def _append(self, line: Text, cell: tuple[str, str, str], widths: Sequence[int]) -> None:
        symbol, price, change = cell
        name = Text(symbol)
        name.truncate(widths[0], overflow="crop" if self._ascii_only else "ellipsis", pad=True)
        line.append_text(name)
        line.append(f"{'':{_SPACE}}{price:>{widths[1]}}{'':{_SPACE}}")
        style = "green" if change.startswith("+") else "red" if change.startswith("-") else ""
        line.append(f"{change:>{widths[2]}}", style)


def _folded(text: str, width: int) -> list[str]:
    """A text in lines of at most `width` cells, broken at spaces where that is possible. It keeps its indentation."""
    words = text.lstrip(" ").split(" ")
    words[0] = " " * (len(text) - len(text.lstrip(" "))) + words[0]
    lines, line = [], ""
    for word in words:
        candidate = f"{line} {word}" if line else word
        while cell_len(candidate) > width:
            if line:
                lines.append(line)
                line, candidate = "", word
                continue
            cut = Text(candidate)
            cut.truncate(width, overflow="crop")
            part = cut.plain.rstrip(" ") or candidate[:1]
            lines.append(part)
            candidate = candidate[len(part) :]
        line = candidate
    return [*lines, line] if line else lines


def _clock(seconds: float) -> str:
    """Such as 0:42, or 1:02:03."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
