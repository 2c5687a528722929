"""The volume in the saved query `daily_ohlc`: what was traded within the day that the row names."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from msgspec.structs import replace

from analytics import catalog
from analytics.duckdb_engine import Engine
from quotes import REGULAR, ROLLING_DAY, Quote, encode
from tests.fakes.pipeline import make_quote
from tests.fakes.volume_source import MARKETS, simulate
from tests.support.sizes import sized

MIDNIGHT = 9.5 * 3600
"""The midnight after the Monday on which the quotes begin, in seconds after the open."""
MONDAY, TUESDAY, WEDNESDAY = "2026-11-23", "2026-11-24", "2026-11-25"


def volumes(directory: Path, quotes: Mapping[str, Sequence[Quote]]) -> dict[str, dict[str, int | None]]:
    """The volume of each symbol and day, by the saved query over an archive of their quotes."""
    now = datetime.now(UTC)
    folder = directory / "raw-data" / f"dt={now:%Y-%m-%d}" / f"hour={now:%H}"
    folder.mkdir(parents=True)
    lines = [replace(quote, symbol=symbol) for symbol, of in quotes.items() for quote in of]
    (folder / "shardId-000000000000-1-2.jsonl.gz").write_bytes(gzip.compress(encode(lines)))
    listed = catalog.read()
    query = listed.query("daily_ohlc")
    assert query is not None
    engine = Engine(listed, directory)
    found: dict[str, dict[str, int | None]] = {symbol: {} for symbol in quotes}
    for symbol, day, *_, volume, _ in engine.run(query.select).rows:
        found[symbol][str(day)] = volume
    engine.close()
    return found


def session(*polls: tuple[float, int | None], close: str = "97") -> list[Quote]:
    """Quotes of an open market, at some hours from midnight on."""
    return [
        replace(make_quote(second=MIDNIGHT + hours * 3600, volume=volume, previous_close=close), market_state=REGULAR)
        for hours, volume in polls
    ]


SYDNEY = session((-0.5, 1_000_000), (-0.1, 2_000_000), (0.1, 3_000_000), (5.5, 9_000_000))
NEXT = session((23.4, 400_000), (23.9, 1_000_000), (24.1, 1_500_000), (29.5, 6_000_000), close="98")


CASES: Mapping[str, tuple[list[Quote], dict[str, int | None]]] = {
    "P3/midnight": (SYDNEY + NEXT, {MONDAY: 2_000_000, TUESDAY: 8_000_000, WEDNESDAY: 5_000_000}),
    "P3/correction": (session((-9, 4_000_000), (-4, 9_000_000), (-3, 8_000_000)), {MONDAY: 8_000_000}),
    "wrong-answers": (session((-9, 4_000_000), (-4, 9_000_000), (-3.9, 0), (-3.8, 7)), {MONDAY: 9_000_000}),
    "P6": (session((-9, 100), (-8, 200), (-7, 0), (-6, 300)), {MONDAY: 300}),
    "two-sessions": (session((-9, 100), (-8, 200)) + session((-6.5, 40), (-5, 70), close="98"), {MONDAY: 270}),
    "no-trades": (session((-9, 0), (-8, 0)), {MONDAY: 0}),
    "no-volume": (session((-9, None)), {MONDAY: None}),
    "24h": ([replace(each, volume_period=ROLLING_DAY) for each in SYDNEY], {MONDAY: None, TUESDAY: None}),
}


def test_a_day_has_the_volume_that_was_traded_in_it(tmp_path: Path) -> None:
    found = volumes(tmp_path, {name: quotes for name, (quotes, _) in CASES.items()})
    assert found == {name: expected for name, (_, expected) in CASES.items()}


def test_the_days_add_up_to_what_was_traded_by_the_sources_last_word(tmp_path: Path) -> None:
    simulated = {
        f"{name.replace(' ', '-')}/{seed}": simulate(market, Random(seed))
        for name, market in MARKETS.items()
        for seed in range(sized(5, 100))
    }
    found = volumes(tmp_path, {symbol: of.quotes for symbol, of in simulated.items()})
    for symbol, of in simulated.items():
        first = of.quotes[0].volume
        assert first is not None
        assert sum(volume or 0 for volume in found[symbol].values()) == of.traded + first, symbol
