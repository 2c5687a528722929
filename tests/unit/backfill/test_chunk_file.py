"""The archive's object of a finished chunk."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.chunk_file import chunk_of, decode_chunk, encode, key_of, prefix_of
from backfill.chunks import Chunk, FinishedChunk, SourceBar
from backfill.errors import Unreadable
from quotes import Action

OPEN = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
CHUNK = Chunk("BRK-B", "1m", OPEN, OPEN + timedelta(hours=2))
DIVIDEND = Action(
    symbol="BRK-B",
    action="dividend",
    event_time=OPEN,
    source="yahoo",
    ingest_time=OPEN + timedelta(hours=3),
    amount=Decimal("0.205"),
)
prices = st.decimals(min_value="-1e11", max_value="1e11", allow_nan=False, allow_infinity=False, places=12)
bars = st.builds(
    SourceBar,
    start=st.integers(0, 119).map(lambda minute: OPEN + timedelta(minutes=minute)),
    open=prices,
    high=prices,
    low=prices,
    close=prices,
    volume=st.none() | st.integers(0, 2**63 - 1),
)


def finished(*found: SourceBar, actions: tuple[Action, ...] = (), problems: tuple[str, ...] = ()) -> FinishedChunk:
    return FinishedChunk(
        chunk=CHUNK,
        fetched_at=OPEN + timedelta(hours=3),
        complete_to=OPEN + timedelta(hours=1),
        source="yahoo",
        bars=found,
        actions=actions,
        problems=problems,
    )


@given(st.lists(bars, max_size=5), st.booleans(), st.lists(st.text(max_size=20), max_size=2))
def test_a_chunk_comes_back_as_it_was(found: list[SourceBar], has_action: bool, problems: list[str]) -> None:  # noqa: FBT001
    chunk = finished(*found, actions=(DIVIDEND,) if has_action else (), problems=tuple(problems))
    assert decode_chunk(encode(chunk), "x") == chunk


def test_prices_keep_their_digits_and_have_no_exponent() -> None:
    content = encode(finished(SourceBar(OPEN, Decimal("1E-7"), Decimal("171.6200"), Decimal("1E+3"), Decimal(-2), 5)))
    head, bar = gzip.decompress(content).splitlines()
    assert json.loads(head)["kind"] == "backfill"
    assert bar == (
        b'{"kind":"bar","start":"2026-11-23T14:30:00.000Z","open":0.0000001,"high":171.62,"low":1000,"close":-2,'
        b'"volume":5}'
    )


def test_equal_chunks_have_equal_bytes() -> None:
    assert encode(finished(actions=(DIVIDEND,))) == encode(finished(actions=(DIVIDEND,)))


@pytest.mark.parametrize("symbol", ["AAPL", "^GSPC", "EURUSD=X", "BTC-USD", "A/B", "ES=F"])
def test_a_key_names_its_chunk(symbol: str) -> None:
    chunk = Chunk(symbol, "1h", OPEN, OPEN + timedelta(hours=2))
    assert key_of(chunk).startswith(prefix_of(symbol, "1h"))
    assert key_of(chunk).count("/") == 3
    assert chunk_of(key_of(chunk)) == chunk


@pytest.mark.parametrize(
    "key", ["backfill/", "backfill/1m/AAPL/x.jsonl.gz", "raw-data/dt=2026-11-23/x", "backfill/15m/A/a"]
)
def test_another_key_names_none(key: str) -> None:
    assert chunk_of(key) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "ends early"),
        (b"no gzip", "is damaged"),
        (encode(finished())[:-9], "ends early"),
        (gzip.compress(b""), "is damaged"),
        (gzip.compress(b'{"kind":"quote"}'), "is damaged"),
        (gzip.compress(gzip.decompress(encode(finished())) + b"{}\n"), "is not a bar or a corporate action"),
        (gzip.compress(gzip.decompress(encode(finished())).replace(b'"v":1', b'"v":2')), "use a later release"),
    ],
)
def test_a_damaged_or_later_file_says_what_is_wrong(content: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason) as error:
        decode_chunk(content, "backfill/1m/A/x.jsonl.gz")
    assert str(error.value).startswith("backfill/1m/A/x.jsonl.gz ")
