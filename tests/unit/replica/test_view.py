"""The demo without a terminal: plain lines, and the summary."""

from __future__ import annotations

import io

import pytest
from msgspec.structs import replace
from rich.console import Console

from costs.usage import Usage
from replica.audit import Findings
from replica.monitor import NOTHING, Breakdown, Price
from replica.screen import can_draw
from replica.view import View

CLOSED = "XNYS is closed; opens Mon 2026-11-30 14:30 UTC (Mon 09:30 America/New_York)"
ONE = replace(NOTHING, stored=1, prices=(Price("AAPL", "170.00", ""),))


def console(**options: object) -> Console:
    return Console(file=io.StringIO(), width=200, color_system=None, **options)  # type: ignore[arg-type]


def printed(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def update(view: View, *notes: str, state: str = "running") -> None:
    view.update(
        ONE, ["AAPL moved"], state=state, prices="simulated prices", dashboard_url="http://127.0.0.1:8000/", notes=notes
    )


def test_plain_lines_say_what_the_prices_are_and_each_reason_once() -> None:
    to = console()
    view = View(to)
    with view.live():
        update(view, CLOSED)
        update(view, CLOSED, state="draining")
    lines = printed(to)
    assert lines.count(f"note: {CLOSED}") == 1
    assert lines.count("alert: AAPL moved") == 2
    assert [line.split("s  ")[1].partition(":")[0] for line in lines if "quotes stored" in line] == [
        "running, simulated prices",
        "draining, simulated prices",
    ]


def test_the_summary_says_what_the_prices_are_and_why_some_are_missing() -> None:
    to = console()
    nothing = Findings(**dict.fromkeys(Findings.__struct_fields__, 0))
    View(to).summarize(nothing, NOTHING, Usage(), None, prices="Yahoo's prices", mode="fast", notes=(CLOSED,))
    text = "\n".join(printed(to))
    assert "Yahoo's prices, read back and compared" in text
    assert f"No quote was stored.\nnote: {CLOSED}" in text


@pytest.mark.parametrize("backfilled", [0, 7_651])
def test_a_backfill_is_not_counted_as_the_cost_of_quotes(backfilled: int) -> None:
    to = console()
    counts = dict.fromkeys(Findings.__struct_fields__, 0) | {"bars": 7_652, "bars_backfilled": backfilled}
    View(to).summarize(Findings(**counts), NOTHING, Usage(), 12_719.25, prices="Yahoo's prices", mode="fast")
    text = "\n".join(printed(to))
    assert ("cost $12719.25 per million quotes" in text) == (backfilled == 0)
    assert ("7,651 of them by a backfill" in text) == ("contain the backfill" in text) == (backfilled > 0)


def test_the_summary_says_where_the_time_goes() -> None:
    to = console()
    nothing = Findings(**dict.fromkeys(Findings.__struct_fields__, 0))
    breakdown = Breakdown(producer=0.011, event_source=0.07, function=0.052)
    snapshot = replace(NOTHING, p50=0.13, p99=0.21, p99_9=0.4, breakdown=breakdown)
    View(to).summarize(nothing, snapshot, Usage(), None, prices="simulated prices", mode="fast")
    text = "\n".join(printed(to))
    assert "0.13 s │ from received to stored, in fast mode" in text
    assert "0.21 s │ p99.9: 0.40 s" in text
    assert "producer 0.01, event source 0.07, function 0.05 s" in text


def test_only_a_terminal_is_drawn_on() -> None:
    assert not can_draw(console(force_terminal=True))  # as FORCE_COLOR does


def test_an_encoding_without_a_character_gets_an_escape() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="iso-8859-1")
    view = View(Console(file=file, width=80))
    view.report("株 costs …")
    file.flush()
    assert isinstance(file.buffer, io.BytesIO)
    assert file.buffer.getvalue() == b"\\u682a costs \\u2026\n"
