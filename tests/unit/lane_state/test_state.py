"""The bytes of a lane's state: what they preserve, which versions are read, and how large they are."""

from __future__ import annotations

import zlib
from base64 import b64decode
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from aws_limits import DYNAMODB_ITEM_BYTES, DYNAMODB_WRITE_UNIT_BYTES
from indicators import Indicators
from lane_state import (
    ANOTHER_STREAM,
    START,
    WHOLE,
    Bar,
    Checkpoint,
    DayCounts,
    LaneState,
    LogEntry,
    Position,
    Publication,
    Session,
    Split,
    SymbolState,
    move,
    pack,
    pack_checkpoint,
    unpack,
    unpack_checkpoint,
    version_of,
)
from lane_state.codec import READS
from processor_lambda.alerts.rules_file import DEFAULT_FILE, read
from processor_lambda.checkpoints import MAX_LOG_ENTRIES
from processor_lambda.fold import MAX_PUBLICATIONS, Fold, PositionedLine
from quotes import MAX_SYMBOLS_PER_LANE, Heartbeat, Line, Quote, encode_line
from tests.fakes.pipeline import OPEN
from tests.support.sizes import FULL, sized

MINUTES = 60
FOLDED_MINUTES = sized(10, MINUTES)
"""How many minutes of a busy lane are folded from quotes. The minutes before them only advance the indicators, which is
quicker and gives the same size within 2 %."""
SEQUENCE = 49590338271490256608559692538361571095921575989136588898
MAX_PACKED_BYTES = 400_000
"""The most that a packed state may take. The rest of an item is for its key and the names of its attributes."""
assert MAX_PACKED_BYTES < DYNAMODB_ITEM_BYTES

ROW_RESOLUTIONS = pytest.mark.parametrize("keep_lines", [False, True], ids=["every quote a row", "a row a minute"])


@cache
def busy_lane(symbols: int, places: int, *, keep_lines: bool) -> LaneState:
    """A lane an hour after the open. All indicators are known, and every symbol has a current minute."""
    fold = Fold(read(DEFAULT_FILE, Decimal(5)), keep_lines=keep_lines)
    rng = Random(7)
    prices = [rng.uniform(5, 900) for _ in range(symbols)]
    warm = {f"SYM{number}": Indicators() for number in range(symbols)}
    state = LaneState()
    for minute in range(MINUTES):
        start = OPEN + timedelta(minutes=minute)
        prices = [price * (1 + rng.gauss(0, 0.0007)) for price in prices]
        if minute < MINUTES - FOLDED_MINUTES:
            for (name, before), price in zip(list(warm.items()), prices, strict=True):
                warm[name] = before.advanced(start, round(price, places), rng.randrange(10**6))
            continue
        time = start + timedelta(milliseconds=rng.randrange(1000))
        lines: list[Line] = [
            *(
                a_quote(number, time, round(price, places), rng.randrange(10**6) + minute * 10**6)
                for number, price in enumerate(prices)
            ),
            Heartbeat(lane="lane-00-of-01", clock=time, complete_to=start),
        ]
        end = Position(SEQUENCE + minute, WHOLE)
        remaining = [
            PositionedLine(Position(SEQUENCE + minute, number), encode_line(line)[:-1], line)
            for number, line in enumerate(lines, 1)
        ]
        while remaining:
            folded = fold(state, remaining, end, warm)
            state, remaining = folded.state, remaining[folded.count :]
    return state


def without_lines(state: LaneState) -> LaneState:
    """What the state would be if bars did not keep lines."""
    symbols = {
        name: replace(symbol, bar=None if symbol.bar is None else replace(symbol.bar, line=b""))
        for name, symbol in state.symbols.items()
    }
    pending = tuple(
        replace(item, bar=None if item.bar is None else replace(item.bar, line=b"")) for item in state.pending
    )
    return replace(state, symbols=symbols, pending=pending)


def full_lane(places: int, *, keep_lines: bool) -> LaneState:
    """A busy lane with as many symbols as a producer puts there. It is built once, because that takes long."""
    state = busy_lane(MAX_SYMBOLS_PER_LANE, places, keep_lines=True)
    return state if keep_lines else without_lines(state)


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
        previous_close=a_close(number, amount),
        volume=volume,
        currency="USD",
        exchange="NasdaqGS",
        market_state="REGULAR",
        delay_minutes=0,
    )


@cache
def closes(number: int) -> str:
    """The previous close of a symbol, with many places."""
    return f"{Random(number).uniform(5, 900):.8f}"


def a_close(number: int, amount: Decimal) -> Decimal:
    """The previous close of a symbol, with as many places as a price."""
    return Decimal(closes(number)).quantize(amount)


def with_all_that_is_known(state: LaneState) -> LaneState:
    """The lane on its second day, after every symbol has split."""
    rng = Random(3)
    symbols = {
        name: replace(
            symbol,
            last_session=Session(Decimal(str(round(rng.uniform(5, 900), 2))), rng.randrange(10**8)),
            split=Split(OPEN, 2, 1, is_declared=True, is_applied=True),
        )
        for name, symbol in state.symbols.items()
    }
    return replace(state, symbols=symbols, pending=(), arrival=OPEN, counts=week_of(len(symbols)))


def week_of(symbols: int) -> tuple[DayCounts, ...]:
    """The counts of a week in which each symbol has a quote a second while New York trades."""
    rng = Random(4)
    return tuple(
        DayCounts(f"2026-11-{day}", rng.randrange(23_000, 24_000) * symbols, rng.randrange(9) * symbols, 3 * symbols)
        for day in range(17, 24)
    )


def test_a_lane_without_lines_is_a_lane_that_kept_none() -> None:
    assert without_lines(busy_lane(5, 8, keep_lines=True)) == busy_lane(5, 8, keep_lines=False)


@pytest.mark.parametrize("places", [2, 8])
@pytest.mark.parametrize("symbols", [5, 25])
@ROW_RESOLUTIONS
def test_a_symbol_of_a_small_lane_takes_under_670_bytes_with_all_that_is_known_of_it(
    *, keep_lines: bool, symbols: int, places: int
) -> None:
    assert_symbols_take_under(670, busy_lane(symbols, places, keep_lines=keep_lines))


@pytest.mark.parametrize("places", [2, 8] if FULL else [8])
@ROW_RESOLUTIONS
def test_a_symbol_of_a_full_lane_takes_under_640_bytes(*, keep_lines: bool, places: int) -> None:
    assert_symbols_take_under(640, full_lane(places, keep_lines=keep_lines))


@ROW_RESOLUTIONS
def test_an_item_with_a_log_takes_under_200_bytes_a_symbol_and_20_an_entry(*, keep_lines: bool) -> None:
    state = with_all_that_is_known(full_lane(8, keep_lines=keep_lines))
    without_log = len(pack(replace(state, log=())))
    assert without_log < 200 * len(state.symbols)
    assert len(pack(replace(state, log=log_of(state, MAX_LOG_ENTRIES)))) < without_log + 20 * MAX_LOG_ENTRIES


@pytest.mark.parametrize(("places", "most"), [(2, 260), (8, 460)] if FULL else [(8, 460)])
def test_a_checkpoint_of_a_full_lane_takes_as_much_as_its_docstring_says(places: int, most: int) -> None:
    checkpoint = Checkpoint(7, full_lane(places, keep_lines=False).indicators)
    packed = pack_checkpoint(checkpoint)
    assert unpack_checkpoint(packed) == checkpoint
    assert len(packed) < most * MAX_SYMBOLS_PER_LANE
    assert 2 * len(packed) < MAX_PACKED_BYTES, "old symbols have room in a lane as well"


def log_of(state: LaneState, entries: int) -> tuple[LogEntry, ...]:
    """The log of a lane whose symbols close one minute after the other."""
    rng, names = Random(5), list(state.symbols)
    return tuple(
        LogEntry(
            names[number % len(names)],
            OPEN + timedelta(minutes=number // len(names)),
            round(rng.uniform(5, 900), 8),
            rng.randrange(10**6),
        )
        for number in range(entries)
    )


def assert_symbols_take_under(most: int, state: LaneState) -> None:
    quiet = with_all_that_is_known(state)
    assert unpack(pack(quiet)) == quiet
    assert len(pack(quiet)) / len(quiet.symbols) < most


def test_a_lane_of_one_symbol_is_an_item_of_one_write_unit_once_it_has_a_log() -> None:
    quiet = with_all_that_is_known(busy_lane(1, 8, keep_lines=True))
    assert len(pack(quiet)) < 1_100
    assert len(pack(replace(quiet, log=log_of(quiet, 10)))) < 900 < DYNAMODB_WRITE_UNIT_BYTES


@ROW_RESOLUTIONS
def test_a_full_lane_that_decided_as_much_as_a_commit_may_fits_into_an_item(*, keep_lines: bool) -> None:
    state = full_lane(8, keep_lines=keep_lines)
    rng = Random(1)
    bars = [
        Bar(
            symbol=f"SYM{number % MAX_SYMBOLS_PER_LANE}",
            minute=OPEN + timedelta(minutes=number),
            open=Decimal(rng.randrange(10**9)) / 100,
            high=Decimal(rng.randrange(10**9)) / 100,
            low=Decimal(rng.randrange(10**9)) / 100,
            close=Decimal(rng.randrange(10**9)) / 100,
            volume=rng.randrange(10**9),
            quotes=60,
            ingest_time=OPEN,
            line=encode_line(a_quote(number, OPEN, round(rng.uniform(1, 900), 2), rng.randrange(10**9)))
            if keep_lines
            else b"",
            indicators={f"indicator_{index}": rng.uniform(0, 900) for index in range(16)},
        )
        for number in range(MAX_PUBLICATIONS + MAX_SYMBOLS_PER_LANE)
    ]
    full = replace(state, pending=tuple(Publication(number, bar=bar) for number, bar in enumerate(bars, start=1)))
    assert len(pack(full)) < MAX_PACKED_BYTES
    assert len(pack(replace(full, log=log_of(full, MAX_LOG_ENTRIES)))) < MAX_PACKED_BYTES


def test_a_position_within_a_record_is_preserved() -> None:
    for position in (Position(SEQUENCE, WHOLE), Position(SEQUENCE, 17)):
        assert unpack(pack(LaneState(position=position))).position == position
    assert Position(9, 3) < Position(9, WHOLE) < Position(10, 1)


@pytest.mark.parametrize("symbols", [1, 25])
def test_both_versions_hold_the_same_state(symbols: int) -> None:
    state = busy_lane(symbols, 8, keep_lines=True)
    with_log = replace(state, checkpoint=3, log=log_of(state, 2 * symbols))
    assert (version_of(state), version_of(with_log)) == (1, 2)
    assert unpack(pack(state)) == state
    assert unpack(pack(with_log)) == replace(with_log, indicators={})


def test_a_state_of_version_1_is_as_releases_before_the_log_wrote_it() -> None:
    state = replace(busy_lane(1, 2, keep_lines=False), checkpoint=3)
    document = msgspec.msgpack.decode(zlib.decompress(pack(state)))
    assert document["version"] == 1
    assert document["state"].keys() <= {"position", "clock", "complete_to", "symbols", "splits", "published", "pending"}
    assert document["state"]["symbols"]["SYM0"][8] == state.indicators["SYM0"]


def test_a_checkpoint_of_a_newer_version_is_not_read() -> None:
    newer = zlib.compress(msgspec.msgpack.encode({"version": READS + 1, "checkpoint": {}}))
    with pytest.raises(ValueError, match=r"the checkpoint has version 3, .* deploy the newer one"):
        unpack_checkpoint(newer)


def test_a_state_of_a_newer_version_is_not_read() -> None:
    newer = zlib.compress(msgspec.msgpack.encode({"version": READS + 1, "last_sequence": "1", "state": {}}))
    with pytest.raises(ValueError, match="deploy the newer one"):
        unpack(newer)


@pytest.mark.parametrize("missing", [("exchange",), ("split", "exchange")], ids=str)
def test_a_state_without_the_newest_fields_of_a_symbol_is_read_with_their_defaults(missing: tuple[str, ...]) -> None:
    state = busy_lane(25, 2, keep_lines=False)
    document = msgspec.msgpack.decode(zlib.decompress(pack(state)))
    for symbol in document["state"]["symbols"].values():
        del symbol[-len(missing) :]
    older = unpack(zlib.compress(msgspec.msgpack.encode(document)))
    defaults = {field.name: field.default for field in msgspec.structs.fields(SymbolState) if field.name in missing}
    assert {name: replace(symbol, **defaults) for name, symbol in state.symbols.items()} == older.symbols


EARLIER = b64decode(
    "eF5rXl6WWlScmZ/HtLS4JLEktW1pck5+cva1/9ksvi9WJ+fnFuSklqTGl+RDRJYXV+Ym5ecUNy5xdAzwucMgCBFmWGpoYKBnusjSkv0ww2ywHERi"
    "MVAciA1BNEQNOxNE5ghDAxAdOMfAnPdicWiwy4EDEPGpEIqJ8fDhlQWlSTmZxRmpKcyrkjNSk7ML8jPzShgX5+SnT1ibk1hcEl+cWliampecutAc"
    "AGGiVvk="
)
"""A state as the release before the exchange, the arrival and the counts wrote it."""
CURRENT = LaneState(
    position=Position(8, WHOLE),
    symbols={"AAPL": replace(unpack(EARLIER).symbols["AAPL"], exchange="NMS")},
    log=(),
    arrival=OPEN,
    counts=(DayCounts("2026-11-22", 9, 0, 0), DayCounts("2026-11-23", 5, 2, 1)),
    edits=2,
)


def test_a_state_of_the_release_before_the_counts_is_read_without_them() -> None:
    state = unpack(EARLIER)
    assert (state.arrival, state.counts, state.edits, state.symbols["AAPL"].exchange) == (None, (), 0, None)
    assert (state.position, state.clock, state.published, state.checkpoint) == (Position(7, WHOLE), OPEN, 3, 1)
    symbol = state.symbols["AAPL"]
    assert (symbol.price, symbol.split) == (Decimal("100.5"), Split(OPEN, 2, 1, is_declared=True, is_applied=True))
    assert unpack(pack(state)) == state


@pytest.mark.parametrize("unknown", [("arrival", "counts", "edits"), ("edits",)], ids=str)
def test_an_earlier_release_reads_a_state_with_fields_that_it_does_not_know(unknown: tuple[str, ...]) -> None:
    """Its structs had all fields but these, so they ignore what they do not know."""
    earlier_symbol = _without(SymbolState, "exchange", array_like=True)
    earlier_lane = _without(LaneState, *unknown, symbols=dict[str, earlier_symbol])  # type: ignore[valid-type]
    packed = msgspec.msgpack.decode(zlib.decompress(pack(CURRENT)))["state"]
    assert packed.keys() >= set(unknown)
    read = msgspec.structs.asdict(msgspec.msgpack.decode(msgspec.msgpack.encode(packed), type=earlier_lane))
    symbol = msgspec.structs.asdict(CURRENT.symbols["AAPL"])
    del symbol["exchange"]
    assert msgspec.structs.asdict(read["symbols"]["AAPL"]) == symbol
    assert (read["log"], read["published"]) == ((), 0)


def _without(
    kind: type[msgspec.Struct], *names: str, array_like: bool = False, **types: object
) -> type[msgspec.Struct]:
    """A struct with all fields of another one but some."""

    def default(field: msgspec.structs.FieldInfo) -> Any:
        defaults: dict[str, Any] = {"default": field.default, "default_factory": field.default_factory}
        return msgspec.field(**defaults)

    fields = [
        (field.name, types.get(field.name, field.type), default(field))
        for field in msgspec.structs.fields(kind)
        if field.name not in names
    ]
    return msgspec.defstruct(f"Earlier{kind.__name__}", fields, array_like=array_like, kw_only=True)


def test_a_state_with_its_counts_is_read_as_it_was_written() -> None:
    assert unpack(pack(CURRENT)) == CURRENT
    assert unpack(move(pack(CURRENT), ANOTHER_STREAM)) == replace(CURRENT, position=ANOTHER_STREAM)


def test_a_state_moves_to_the_start_of_another_stream_and_keeps_the_rest_of_itself() -> None:
    state = replace(busy_lane(1, 2, keep_lines=True), position=Position(SEQUENCE, 17), published=7)
    assert unpack(move(pack(state), ANOTHER_STREAM)) == replace(state, position=ANOTHER_STREAM)
    assert START < ANOTHER_STREAM < Position(1, 1)


def test_a_state_moves_in_whichever_version_it_is() -> None:
    newer = {"version": 3, "last_sequence": str(SEQUENCE), "state": {"fields": "of a newer version"}}
    moved = msgspec.msgpack.decode(zlib.decompress(move(zlib.compress(msgspec.msgpack.encode(newer)), ANOTHER_STREAM)))
    assert moved == newer | {"last_sequence": "0"}
