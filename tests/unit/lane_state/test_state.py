"""A lane's state as bytes: what survives, what an older version said, and how large it is."""

from __future__ import annotations

import zlib
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

import msgspec
import pytest

from lane_state import WHOLE, Bar, LaneState, Position, Publication, SymbolState, pack, unpack
from processor_lambda.alerts.rules_file import DEFAULT_FILE, read
from processor_lambda.fold import MAX_PUBLICATIONS, Fold, PositionedLine
from quotes import Heartbeat, Line, Quote, encode_line
from tests.fakes.pipeline import OPEN

SYMBOLS = 400
"""Of a lane, at the most."""
MINUTES = 60
SEQUENCE = 49590338271490256608559692538361571095921575989136588898


def busy_lane(*, keep_lines: bool, symbols: int = SYMBOLS, places: int = 2) -> LaneState:
    """A lane an hour after the open: all indicators known, a minute under way in each symbol."""
    fold = Fold(read(DEFAULT_FILE, Decimal(5)), keep_lines=keep_lines)
    chance = Random(7)
    prices = [chance.uniform(5, 900) for _ in range(symbols)]
    state = LaneState()
    for minute in range(MINUTES):
        time = OPEN + timedelta(minutes=minute, milliseconds=chance.randrange(1000))
        quotes = []
        for number, price in enumerate(prices):
            prices[number] = price * (1 + chance.gauss(0, 0.0007))
            quotes.append(
                a_quote(number, time, round(prices[number], places), chance.randrange(10**6) + minute * 10**6)
            )
        lines: list[Line] = [
            *quotes,
            Heartbeat(lane="lane-00-of-01", clock=time, complete_to=OPEN + timedelta(minutes=minute)),
        ]
        end = Position(SEQUENCE + minute, WHOLE)
        left = [
            PositionedLine(Position(SEQUENCE + minute, number), encode_line(line)[:-1], line)
            for number, line in enumerate(lines, 1)
        ]
        while left:
            folded = fold(state, left, end, {})
            state, left = folded.state, left[folded.count :]
    return state


def a_quote(number: int, time: datetime, price: float, volume: int) -> Quote:
    amount = Decimal(str(price))
    return Quote(
        symbol=f"SYM{number}",
        event_time=time,
        price=amount,
        source="yahoo",
        ingest_time=time,
        open=amount - 1,
        high=amount + 1,
        low=amount - 2,
        previous_close=amount - Decimal("0.5"),
        volume=volume,
        currency="USD",
        exchange="NasdaqGS",
        market_state="REGULAR",
        delay_minutes=0,
    )


@pytest.mark.parametrize("places", [2, 8])
@pytest.mark.parametrize("symbols", [5, 25, SYMBOLS])
@pytest.mark.parametrize("keep_lines", [False, True], ids=["every quote a row", "a row a minute"])
def test_a_symbol_takes_under_640_bytes_with_all_that_is_known_of_it(
    *, keep_lines: bool, symbols: int, places: int
) -> None:
    quiet = msgspec.structs.replace(busy_lane(keep_lines=keep_lines, symbols=symbols, places=places), pending=())
    assert unpack(pack(quiet)) == quiet
    assert len(pack(quiet)) / symbols < 640


def test_a_lane_of_one_symbol_is_an_item_of_one_write_unit() -> None:
    quiet = msgspec.structs.replace(busy_lane(keep_lines=True, symbols=1, places=8), pending=())
    assert len(pack(quiet)) < 1_000


@pytest.mark.parametrize("keep_lines", [False, True], ids=["every quote a row", "a row a minute"])
def test_the_fullest_lane_that_decided_as_much_as_it_may_fits_into_an_item(*, keep_lines: bool) -> None:
    state = busy_lane(keep_lines=keep_lines)
    chance = Random(1)
    bars = [
        Bar(
            symbol=f"SYM{number % SYMBOLS}",
            minute=OPEN + timedelta(minutes=number),
            open=Decimal(chance.randrange(10**9)) / 100,
            high=Decimal(chance.randrange(10**9)) / 100,
            low=Decimal(chance.randrange(10**9)) / 100,
            close=Decimal(chance.randrange(10**9)) / 100,
            volume=chance.randrange(10**9),
            quotes=60,
            ingest_time=OPEN,
            line=encode_line(a_quote(number, OPEN, round(chance.uniform(1, 900), 2), chance.randrange(10**9)))
            if keep_lines
            else b"",
            indicators={f"indicator_{index}": chance.uniform(0, 900) for index in range(16)},
        )
        for number in range(MAX_PUBLICATIONS + SYMBOLS)
    ]
    full = msgspec.structs.replace(
        state, pending=tuple(Publication(number, bar=bar) for number, bar in enumerate(bars, start=1))
    )
    assert len(pack(full)) < 400_000


def test_a_position_within_a_record_survives() -> None:
    for position in (Position(SEQUENCE, WHOLE), Position(SEQUENCE, 17)):
        assert unpack(pack(LaneState(position=position))).position == position
    assert Position(9, 3) < Position(9, WHOLE) < Position(10, 1)


def test_a_state_of_a_newer_version_is_not_read() -> None:
    newer = zlib.compress(msgspec.msgpack.encode({"version": 3, "last_sequence": "1", "state": {}}))
    with pytest.raises(ValueError, match="deploy the newer one"):
        unpack(newer)


@pytest.mark.parametrize("missing", [("interval_ms",), ("interval_ms", "open_since")], ids=str)
def test_a_state_from_before_the_last_fields_of_a_symbol_is_read(missing: tuple[str, ...]) -> None:
    state = busy_lane(keep_lines=False)
    document = msgspec.msgpack.decode(zlib.decompress(pack(state)))
    for symbol in document["state"]["symbols"].values():
        del symbol[-len(missing) :]
    older = unpack(zlib.compress(msgspec.msgpack.encode(document)))
    defaults = {field.name: field.default for field in msgspec.structs.fields(SymbolState) if field.name in missing}
    assert {name: msgspec.structs.replace(symbol, **defaults) for name, symbol in state.symbols.items()} == (
        older.symbols
    )
