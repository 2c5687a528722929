"""Which lines are accepted: those that DynamoDB, Athena and DuckDB read with the same meaning.

`tests/integration/aws_adapters/test_good_lines.py` runs such lines through the emulator's DynamoDB.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analytics import catalog, relations
from analytics.duckdb_engine import Engine
from processor_lambda.rows import quote_row
from quotes import Action, Line, Quote, decode, encode_line
from tests.support.edge_lines import PLAIN, PRICES, edge_lines
from tests.support.sizes import sized

CATALOG = catalog.read()


def line(**members: str | None) -> bytes:
    """The plain line with other members, as JSON text. None removes a member."""
    merged = PLAIN | members
    return ("{" + ",".join(f'"{name}":{text}' for name, text in merged.items() if text is not None) + "}").encode()


def reason_of(content: bytes) -> str:
    """Why a line is refused. An empty text if it is accepted."""
    return "".join(bad.reason for bad in decode(content).bad)


def accepted(content: bytes) -> Line | None:
    return next((good.line for good in decode(content).good), None)


@pytest.mark.parametrize("field", PRICES)
@pytest.mark.parametrize("number", ["0e1000", "0e126", "-0e1000", "0.0e200", "1e5", "1E5", "1.2e-9", "0e0", "1e-131"])
def test_p1_a_price_with_an_exponent_is_refused(field: str, number: str) -> None:
    """DynamoDB refuses a zero with a large exponent, so an accepted one would stop its lane for a day."""
    assert reason_of(line(**{field: number})) == f"{field} {number} has an exponent: write all its digits instead"


@pytest.mark.parametrize(
    ("number", "price"),
    [
        ("0.0000071234567", "0.0000071234567"),
        ("0.0000003651", "3.651e-07"),
        ("0.0000000012345", "1.2345e-09"),
        ("0.000000000123", "1.23e-10"),
        ("0." + 25 * "0" + "1", "1e-26"),
        ("741971.39", "741971.39"),
        ("999999999999." + 26 * "9", "999999999999." + 26 * "9"),
        ("-37.63", "-37.63"),
        ("12.50", "12.5"),
        ("100", "100"),
        ("0", "0"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("0.00", "0"),
    ],
)
def test_a_price_is_read_exactly(number: str, price: str) -> None:
    quote = accepted(line(price=number))
    assert isinstance(quote, Quote)
    assert quote.price == Decimal(price)
    assert not quote.price.is_signed() or quote.price < 0


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"price": "1000000000000"}, "price 1000000000000 is not below 1000000000000"),
        ({"price": "-1000000000000.5"}, "is not below 1000000000000"),
        ({"low": "0." + 26 * "0" + "1"}, "has more than 26 decimal places"),
        ({"low": "1." + 27 * "0"}, "has more than 26 decimal places"),
        ({"low": "9" * 400}, "is not below 1000000000000"),
        ({"volume": "1.0"}, "Expected `int`, got `float` - at `$.volume`"),
        ({"volume": "1e2"}, "Expected `int`, got `float` - at `$.volume`"),
        ({"volume": "-0"}, "volume -0 is not a count"),
        ({"volume": "9223372036854775808"}, "volume 9223372036854775808 is not between 0 and 2**63 - 1"),
        ({"delay_minutes": "9" * 400}, "delay_minutes"),
        ({"revision": "9223372036854775808"}, "revision 9223372036854775808 is not between 0 and 2**63 - 1"),
        ({"v": "1.0"}, "Expected `int`, got `float` - at `$.v`"),
        ({"event_time": '"2026-11-23T14:30:00Z"'}, "event_time '2026-11-23T14:30:00Z' is not a UTC time like"),
        ({"event_time": '"2026-11-23t14:30:00.000Z"'}, "is not a UTC time like"),
        ({"event_time": '"2026-11-23T14:30:00.000z"'}, "is not a UTC time like"),
        ({"event_time": '"2026-11-23 14:30:00.000Z"'}, "is not a UTC time like"),
        ({"event_time": '"2026-11-23T14:30:00.000+00:00"'}, "is not a UTC time like"),
        ({"source_time": '"2026-11-23T14:30:00.0Z"'}, "source_time '2026-11-23T14:30:00.0Z' is not a UTC time like"),
        ({"ingest_time": '"2026-11-23T14:30:00.000000Z"'}, "ingest_time '2026-11-23T14:30:00.000000Z' is not a UTC"),
        ({"event_time": '"2026-11-23T24:00:00.000Z"'}, "event_time"),
        ({"event_time": '"2026-11-23T14:29:60.000Z"'}, "event_time"),
        ({"volume_period": '"7d"'}, "volume_period '7d' is not '24h'"),
        ({"provenance": '"stream"'}, "provenance 'stream' is not 'backfill'"),
        ({"currency": '"\\ud800"'}, "not a JSON object"),
        ({"currency": '"\\u0000"'}, "currency"),
        ({"price": '{"a":' * 5_000 + "1" + "}" * 5_000}, "recursion"),
    ],
    ids=str,
)
def test_a_value_that_somebody_reads_otherwise_is_refused(members: dict[str, str], reason: str) -> None:
    assert reason in reason_of(line(**members))


GOOD = line()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (GOOD.replace(b'"price":', b'"price":1,"price":'), "price is in the line twice"),
        (GOOD.replace(b'"price":', b'"price":1,"pr\\u0069ce":'), "price is in the line twice"),
        (GOOD.replace(b'"kind":', b'"kind":"quote","kind":'), "kind is in the line twice"),
        (GOOD.replace(b'"v":', b'"v":1,"v":'), "v is in the line twice"),
        (GOOD.replace(b'"price":', b'"Price":'), "unknown field `Price`"),
        (GOOD.replace(b'"price":', b'"pr\\u0069ce":'), "price is written with escapes"),
        (b"\xef\xbb\xbf" + GOOD, "not a JSON object"),
        (GOOD[:-1] + b",}", "not a JSON object"),
        (GOOD + b"{}", "not a JSON object"),
        (GOOD + b"\0", "not a JSON object"),
        (GOOD + b" // comment", "not a JSON object"),
        (GOOD.replace(b'"', b"'"), "not a JSON object"),
        (GOOD.replace(b":", b"=", 1), "not a JSON object"),
    ],
)
def test_a_form_that_somebody_reads_otherwise_is_refused(content: bytes, reason: str) -> None:
    assert reason in reason_of(content)


@pytest.mark.parametrize(
    "content",
    [
        b" \t" + GOOD.replace(b'":', b'" :\t').replace(b',"', b' , "') + b"  ",
        ("{" + ",".join(f'"{name}":{text}' for name, text in reversed(PLAIN.items())) + "}").encode(),
        GOOD.replace(b'"AAPL"', b'"\\u0041AP\\u004c"'),
        GOOD.replace(b"171.62", b"171.620"),
    ],
    ids=["blanks", "order", "escapes in a text", "trailing zeros"],
)
def test_another_writer_s_json_is_accepted(content: bytes) -> None:
    assert accepted(content) == accepted(GOOD)


def test_a_corporate_action_is_examined_too() -> None:
    split = line(kind='"action"', price=None, action='"split"', numerator="4", denominator="1")
    assert accepted(split) == Action(
        symbol="AAPL",
        action="split",
        event_time=datetime(2026, 11, 23, 14, 30, tzinfo=UTC),
        source="test",
        ingest_time=datetime(2026, 11, 23, 14, 30, 1, tzinfo=UTC),
        numerator=4,
        denominator=1,
    )
    dividend = line(kind='"action"', price=None, action='"dividend"', amount="0.26", currency='"USD"')
    assert isinstance(accepted(dividend), Action)
    for content, reason in (
        (split.replace(b'"split"', b'"merger"'), "Invalid enum value 'merger'"),
        (split.replace(b":4", b":0"), "numerator of a split is 0"),
        (split[:-1] + b',"amount":1}', "amount and currency belong to a dividend"),
        (dividend.replace(b"0.26", b"26e-2"), "amount 26e-2 has an exponent"),
        (dividend.replace(b"0.26", b"-0.26"), "amount of a dividend is -0.26"),
        (dividend[:-1] + b',"numerator":1}', "numerator and denominator belong to a split"),
        (split.replace(b"2026-11-23T14:30:00.000Z", b"2026-11-30T14:30:01.001Z"), "more than 7 days"),
    ):
        assert reason in reason_of(content)


@settings(max_examples=sized(300, 1_000), deadline=None)
@given(edge_lines().map(lambda line: [line]))
@example([line(price="999999999999." + 26 * "9"), line(price="0." + 25 * "0" + "1"), line(price="-0.0"), GOOD])
def test_what_is_accepted_has_one_meaning_and_one_canonical_form(contents: list[bytes]) -> None:
    for content in contents:
        for good in decode(content).good:
            canonical = encode_line(good.line).rstrip(b"\n")
            assert accepted(canonical) == good.line
            assert encode_line(good.line) == encode_line(decode(canonical).good[0].line)
            assert as_athena_reads(content) == as_athena_reads(canonical)
            assert isinstance(good.line, Quote)
            assert_dynamodb_stores(good.line)


def as_athena_reads(content: bytes) -> dict[str, Any]:
    """The columns of a line by the rules of Hive's JSON SerDe, for a line that is JSON. The views cast prices.

    https://github.com/trinodb/trino/tree/master/lib/trino-hive-formats/src/main/java/io/trino/hive/formats/line/json
    """
    assert b"\r" not in content
    assert not content.startswith(b"\xef\xbb\xbf")
    columns: dict[str, Any] = {}
    types = {column.name: column.type for column in CATALOG.table.columns}
    for key, written in json.loads(content, object_pairs_hook=list, parse_float=Decimal, parse_int=Decimal):
        assert key.lower() not in columns  # the last one would win
        match types[key.lower()]:
            case "string" if key.lower() in relations.PRICES:
                assert -(10**12) < written < 10**12
                assert -written.as_tuple().exponent <= 26  # it would be rounded half up
            case "string":
                assert isinstance(written, str)
            case "bigint" | "int":
                assert -(2**63) <= written < 2**63
        columns[key.lower()] = written
    return {"revision": 0, **columns}  # as the view `quote_lines` has it


def assert_dynamodb_stores(quote: Quote) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html."""
    row = quote_row(quote, Decimal(5), 30)
    assert 0 < len(str(row["symbol"]).encode()) <= 2048
    assert 0 < len(str(row["timestamp"]).encode()) <= 1024
    for value in row.values():
        if isinstance(value, str):
            assert value
        else:
            digits = Decimal(value).as_tuple()
            assert isinstance(digits.exponent, int)
            assert len(digits.digits) <= 38
            assert -130 <= digits.exponent + len(digits.digits) - 1 <= 125


@settings(max_examples=sized(3, 20), deadline=None)
@given(st.lists(edge_lines(), max_size=100))
@example([line(price=number) for number in ("0." + 25 * "0" + "1", "741971.39", "999999999999." + 26 * "9", "-0.0")])
@example([line(**{name: "0.12345678901234567891234567"}) for name in PRICES])
def test_p9_duckdb_reads_every_column_of_a_good_line_as_the_decoder_does(contents: list[bytes]) -> None:
    good = [good for content in contents for good in decode(content).good]
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory) / "raw-data" / "dt=2026-11-23" / "hour=14"
        folder.mkdir(parents=True)
        (folder / "shardId-000000000000-1-1.jsonl.gz").write_bytes(
            gzip.compress(b"".join(each.content + b"\n" for each in good))
        )
        engine = Engine(CATALOG, Path(directory))
        names = [name for name in Quote.__struct_fields__ if name != "revision"]
        rows = engine.run(f"SELECT {', '.join(names)}, revision FROM quote_lines").rows
        engine.close()
    expected = [tuple(in_sql(getattr(each.line, name)) for name in [*names, "revision"]) for each in good]
    assert Counter(rows) == Counter(expected)


def in_sql(value: object) -> object:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value
