"""The demo's window: whatever its size, it is full, fits, and shows every symbol in time."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from replica.layout import PAGE_SECONDS, Frame, lines_of
from replica.monitor import NOTHING, Price
from tests.support.sizes import sized

CLOSED = "XNYS is closed; opens Mon 2026-11-30 14:30 UTC (Mon 09:30 America/New_York)"
TEXTS = st.text(st.sampled_from("ab 股票…é"), max_size=60)


def prices(count: int, symbol: str = "S{:04}") -> tuple[Price, ...]:
    return tuple(Price(symbol.format(number), f"{number}.00", "+1.20 %") for number in range(count))


def frame(count: int = 24, **fields: object) -> Frame:
    shown = Frame(
        state="running",
        prices="simulated prices",
        snapshot=replace(NOTHING, prices=prices(count)),
        alerts=tuple((float(second), f"alert {second}") for second in range(100, 0, -1)),
        hint="Ctrl-C stops",
    )
    return replace(shown, **fields)


def drawn(frame: Frame, width: int = 80, height: int = 24, elapsed: float = 0) -> list[str]:
    return [line.plain for line in lines_of(frame, width, height, elapsed)]


@given(
    st.integers(1, 250),
    st.integers(1, 80),
    st.integers(0, 1_600),
    st.floats(0, 1e6),
    st.lists(TEXTS, max_size=5).map(tuple),
    st.sampled_from(["S{:04}", "AAPL240621C{:021}", "{}"]),
    st.sampled_from([{}, {"ascii_only": True}]),
)
@settings(max_examples=sized(40, 400))
def test_it_fills_a_window_of_any_size_exactly(  # noqa: PLR0917  (drawn by Hypothesis)
    width: int, height: int, count: int, elapsed: float, texts: tuple[str, ...], symbol: str, options: dict[str, bool]
) -> None:
    alerts = tuple((elapsed, text) for text in texts)
    shown = frame(snapshot=replace(NOTHING, prices=prices(count, symbol)), notes=texts, reports=texts, alerts=alerts)
    lines = lines_of(shown, width, height, elapsed, **options)
    assert [cell_len(line.plain) for line in lines] == [width] * height


def test_80x24_shows_figures_reasons_all_symbols_and_the_newest_alerts() -> None:
    lines = drawn(frame(notes=(CLOSED,)))
    assert lines[0].startswith("stockstream: simulated prices")
    assert lines[0].endswith("running 0:00")
    assert lines[2].rstrip() == CLOSED
    text = "\n".join(lines)
    assert all(price.symbol in text for price in prices(24))
    alerts = [line.rstrip().partition("  alert ")[2] for line in lines if "  alert " in line]
    assert alerts[:3] == ["100", "99", "98"]
    assert lines[-1].rstrip() == "Ctrl-C stops"


def test_every_symbol_is_on_a_page_that_turns() -> None:
    seen: set[str] = set()
    first = next(line for line in drawn(frame(1_600)) if "page 1 of " in line)
    pages = int(first.partition(" of ")[2].split()[0])
    for page in range(pages):
        text = "\n".join(drawn(frame(1_600), elapsed=page * PAGE_SECONDS))
        assert f"page {page + 1} of {pages}" in text
        seen |= {price.symbol for price in prices(1_600) if f"{price.symbol} " in text}
    assert len(seen) == 1_600
    assert "page 1 of " in "\n".join(drawn(frame(1_600), elapsed=pages * PAGE_SECONDS))


def test_a_larger_window_shows_more() -> None:
    def symbols(width: int, height: int) -> int:
        return "\n".join(drawn(frame(1_600), width, height)).count("+1.20 %")

    assert symbols(40, 10) < symbols(80, 24) < symbols(100, 30) < symbols(200, 60)


def test_a_reason_that_does_not_fit_is_marked() -> None:
    assert drawn(frame(notes=(CLOSED,) * 9), 40, 10)[3].rstrip().endswith("…")


def test_the_newest_messages_are_shown_and_none_from_its_middle() -> None:
    reports = tuple(f"report {number} {'x' * 70} end" for number in range(9))  # two lines each
    lines = drawn(frame(2, reports=reports), 80, 24)
    shown = [line.rstrip() for line in lines[lines.index(next(line for line in lines if "messages" in line)) + 1 : -1]]
    assert shown[-1] == "end"
    assert shown[-2].startswith("report 8 ")
    assert shown[0].startswith("report ")


def test_a_terminal_without_unicode_gets_ascii_lines() -> None:
    shown = frame(snapshot=replace(NOTHING, prices=prices(99, "LONG-{:027}")), notes=(CLOSED,) * 9)
    assert all(line.plain.isascii() for line in lines_of(shown, 40, 10, 0, ascii_only=True))
