"""The commands that correct the bars after quotes were put back."""

from __future__ import annotations

from datetime import UTC, datetime

from operations.rebuild_hints import RebuildHints
from quotes import encode
from tests.fakes.pipeline import make_quote


def test_there_is_one_rebuild_for_each_day() -> None:
    hints = RebuildHints()
    hints.add([encode([make_quote("^GSPC"), make_quote(), make_quote(second=86_400)]), b"rubbish"])
    hints.add([encode([make_quote(f"S{number}", second=86_400) for number in range(20)])])
    assert hints.commands(datetime(2026, 11, 25, 12, tzinfo=UTC)) == [
        "stockstream rebuild --day 2026-11-23 --arrived-until 2026-11-26 --symbol AAPL --symbol '^GSPC'",
        "stockstream rebuild --day 2026-11-24 --all-symbols",
    ]


def test_a_rebuild_names_the_deployment() -> None:
    hints = RebuildHints()
    hints.add([encode([make_quote()])])
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert hints.commands(now, " --stage demo") == ["stockstream rebuild --stage demo --day 2026-11-23 --symbol AAPL"]
