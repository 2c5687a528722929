"""The bytes of the contract: golden lines, and that any bytes can be decoded without an exception."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import quotes
from aws_limits import KINESIS_RECORD_BYTES
from quotes import (
    BACKFILL,
    ROLLING_DAY,
    Action,
    BadLine,
    Heartbeat,
    Invalid,
    Line,
    Quote,
    decode,
    encode,
    encode_line,
    model,
    wire,
)
from tests.support.sizes import sized

NOON = datetime(2026, 11, 23, 12, 0, 0, 123_000, tzinfo=UTC)

FULL = Quote(
    symbol="AAPL",
    event_time=NOON,
    price=Decimal("171.6251"),
    source="yahoo",
    ingest_time=NOON + timedelta(milliseconds=250),
    revision=2,
    open=Decimal("170.5"),
    high=Decimal(172),
    low=Decimal("-0.00000001"),
    previous_close=Decimal("170.12"),
    volume=123_456_789,
    currency="USD",
    exchange="NMS",
    market_state="REGULAR",
    delay_minutes=15,
)
BARE = Quote(symbol="^VIX", event_time=NOON, price=Decimal("14.89"), source="replay", ingest_time=NOON)
HEARTBEAT = Heartbeat(lane="lane-03-of-16", clock=NOON, complete_to=NOON - timedelta(minutes=15))
FIRST_HEARTBEAT = Heartbeat(lane="lane-03-of-16", clock=NOON)
COIN = replace(
    BARE,
    symbol="PEPE24478-USD",
    price=Decimal("1.23e-10"),
    source_time=NOON - timedelta(seconds=2),
    volume=48_000_000_000,
    volume_period=ROLLING_DAY,
    provenance=BACKFILL,
)
SPLIT = Action(
    symbol="AAPL", action="split", event_time=NOON, source="yahoo", ingest_time=NOON, numerator=4, denominator=1
)
DIVIDEND = Action(
    symbol="AAPL",
    action="dividend",
    event_time=NOON,
    source="yahoo",
    ingest_time=NOON,
    amount=Decimal("0.260"),
    currency="USD",
)

GOLDEN: dict[bytes, Line] = {
    b'{"kind":"quote","v":1,"symbol":"AAPL","event_time":"2026-11-23T12:00:00.123Z","price":171.6251,'
    b'"source":"yahoo","open":170.5,"high":172,"low":-0.00000001,"previous_close":170.12,"volume":123456789,'
    b'"currency":"USD","exchange":"NMS","market_state":"REGULAR","delay_minutes":15,'
    b'"ingest_time":"2026-11-23T12:00:00.373Z","revision":2}\n': FULL,
    b'{"kind":"quote","v":1,"symbol":"^VIX","event_time":"2026-11-23T12:00:00.123Z","price":14.89,'
    b'"source":"replay","ingest_time":"2026-11-23T12:00:00.123Z"}\n': BARE,
    b'{"kind":"heartbeat","v":1,"lane":"lane-03-of-16","clock":"2026-11-23T12:00:00.123Z",'
    b'"complete_to":"2026-11-23T11:45:00.123Z"}\n': HEARTBEAT,
    b'{"kind":"heartbeat","v":1,"lane":"lane-03-of-16","clock":"2026-11-23T12:00:00.123Z"}\n': FIRST_HEARTBEAT,
    b'{"kind":"quote","v":1,"symbol":"PEPE24478-USD","event_time":"2026-11-23T12:00:00.123Z","price":0.000000000123,'
    b'"source":"replay","volume":48000000000,"source_time":"2026-11-23T11:59:58.123Z","volume_period":"24h",'
    b'"provenance":"backfill","ingest_time":"2026-11-23T12:00:00.123Z"}\n': COIN,
    b'{"kind":"action","v":1,"symbol":"AAPL","action":"split","event_time":"2026-11-23T12:00:00.123Z",'
    b'"source":"yahoo","ingest_time":"2026-11-23T12:00:00.123Z","numerator":4,"denominator":1}\n': SPLIT,
    b'{"kind":"action","v":1,"symbol":"AAPL","action":"dividend","event_time":"2026-11-23T12:00:00.123Z",'
    b'"source":"yahoo","ingest_time":"2026-11-23T12:00:00.123Z","amount":0.26,"currency":"USD"}\n': DIVIDEND,
}

prices = st.decimals(min_value=-(10**12) + 1, max_value=10**12 - 1, places=26).map(quotes.price)
MILLISECONDS_TO_2200 = 7_258_118_400_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = EPOCH + timedelta(milliseconds=MILLISECONDS_TO_2200 - 1)
times = st.integers(0, MILLISECONDS_TO_2200 - 1).map(lambda since: EPOCH + timedelta(milliseconds=since))
labels = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
counts = st.integers(0, 2**63 - 1)
valid_quotes = st.builds(
    lambda ingest_time, lead, **fields: Quote(
        event_time=max(EPOCH, min(ingest_time + lead, LATEST)), ingest_time=ingest_time, **fields
    ),
    ingest_time=times,
    lead=st.integers(-(10**9), 60_000).map(lambda milliseconds: timedelta(milliseconds=milliseconds)),
    symbol=st.from_regex(r"[A-Za-z0-9.^=&$_:/+-]{1,32}", fullmatch=True),
    price=prices,
    source=labels,
    revision=counts,
    open=prices | st.none(),
    high=prices | st.none(),
    low=prices | st.none(),
    previous_close=prices | st.none(),
    volume=counts | st.none(),
    currency=labels | st.none(),
    exchange=labels | st.none(),
    market_state=labels | st.none(),
    delay_minutes=counts | st.none(),
    source_time=times | st.none(),
    volume_period=st.sampled_from([None, ROLLING_DAY]),
    provenance=st.sampled_from([None, BACKFILL]),
)


@pytest.mark.parametrize(("golden", "line"), GOLDEN.items())
def test_a_line_always_has_the_same_bytes(golden: bytes, line: Line) -> None:
    assert encode_line(line) == golden
    assert [good.line for good in decode(golden).good] == [line]


def test_a_packet_is_the_concatenation_of_its_lines() -> None:
    assert encode(GOLDEN.values()) == b"".join(GOLDEN)
    assert [good.line for good in decode(b"".join(GOLDEN)).good] == list(GOLDEN.values())


def test_event_times_sort_as_text() -> None:
    times = [NOON.replace(microsecond=0), NOON, NOON + timedelta(milliseconds=1), NOON + timedelta(days=400)]
    texts = [
        json.loads(encode_line(Quote(symbol="A", event_time=time, price=Decimal(1), source="s", ingest_time=time)))[
            "event_time"
        ]
        for time in times
    ]
    assert texts == sorted(texts)
    assert {len(text) for text in texts} == {24}


def test_the_content_of_a_line_does_not_include_its_ingest_time_and_revision() -> None:
    later = Quote(
        **{field: getattr(FULL, field) for field in FULL.__struct_fields__} | {"revision": 5, "ingest_time": NOON}
    )
    assert quotes.content_of(encode_line(later)) == quotes.content_of(encode_line(FULL))
    assert quotes.content_of(encode_line(FULL)) != quotes.content_of(encode_line(BARE))


@settings(max_examples=sized(20, 100), deadline=None)
@given(st.lists(valid_quotes, max_size=5))
def test_decoding_restores_what_was_encoded(lines: list[Quote]) -> None:
    decoded = decode(encode(lines))
    assert decoded.bad == () or not lines
    assert [good.line for good in decoded.good] == lines


@settings(max_examples=sized(20, 200), deadline=None)
@given(
    valid_quotes, st.sampled_from([Decimal(10), Decimal("12.50"), Decimal("-0.0"), Decimal("1e-9"), Decimal("0E+9")])
)
@example(FULL, Decimal("12.5"))
def test_the_usual_way_to_encode_a_quote_gives_the_bytes_of_the_other(quote: Quote, price: Decimal) -> None:
    for each in (quote, replace(quote, price=price), replace(quote, previous_close=price, volume=10, currency="USD")):
        assert quotes.encode_content(each) == wire._any_content(each)


GOOD_LINE = encode_line(BARE).rstrip(b"\n")


def refused(**changes: object) -> bytes:
    """The line of the bare quote with other members, as JSON text. None removes a member."""
    members = dict(re.findall(rb'"(\w+)":("[^"]*"|[^,}]*)', GOOD_LINE))
    for name, text in changes.items():
        if text is None:
            del members[name.encode()]
        else:
            members[name.encode()] = str(text).encode()
    return b"{" + b",".join(b'"%s":%s' % member for member in members.items()) + b"}"


BAD_LINES = {
    "not JSON": (b"hello", "not a JSON object"),
    "JSON, not an object": (b"[1]", "not a JSON object"),
    "invalid UTF-8": (b'{"kind":"quote","v":1,"symbol":"\xff"}', "not UTF-8"),
    "deep JSON": (b"[" * 100_000, "not a JSON object"),
    "empty": (b"", "empty line"),
    "no version": (refused(v=None), "version None is not 1"),
    "newer version": (refused(v=2), "version 2 is not 1"),
    "version of another type": (refused(v='"1"'), "version '1' is not 1"),
    "unknown kind": (refused(kind='"trade"'), "unknown kind 'trade'"),
    "unknown field": (refused(bid=1), "unknown field `bid`"),
    "no price": (refused(price=None), "missing required field `price`"),
    "NaN price": (refused(price="NaN"), "not a JSON object"),
    "NaN price as text": (refused(price='"NaN"'), "price is not a number"),
    "price as text": (refused(price='"12.5"'), "price is not a number"),
    "null price": (refused(price="null"), "price is not a number"),
    "boolean price": (refused(price="true"), "price is not a number"),
    "object price": (refused(price="{}"), "price is not a number"),
    "infinite price": (refused(price="1e999999"), "price"),
    "price of too many places": (refused(price="1." + 26 * "0" + "1"), "more than 26 decimal places"),
    "price with an absurd exponent": (refused(price="1e-999999999"), "price 1e-999999999 has an exponent"),
    "exponent beyond all bounds": (
        refused(price="1E99999999999999999999"),
        "price 1E99999999999999999999 has an exponent",
    ),
    "null optional price": (refused(open="null"), "open is not a number"),
    "null optional": (refused(volume="null"), "volume"),
    "fractional volume": (refused(volume="1.5"), "volume"),
    "negative volume": (refused(volume="-1"), "volume"),
    "negative revision": (refused(revision="-1"), "revision"),
    "empty symbol": (refused(symbol='""'), "symbol"),
    "symbol with a space": (refused(symbol='"A B"'), "symbol"),
    "time without a zone": (refused(event_time='"2026-11-23T12:00:00.123"'), "event_time"),
    "time in another zone": (refused(event_time='"2026-11-23T12:00:00.123+01:00"'), "is not a UTC time like"),
    "time of microseconds": (refused(event_time='"2026-11-23T12:00:00.123456Z"'), "is not a UTC time like"),
    "time as a number": (refused(event_time="1763899200"), "event_time"),
    "quote from the future": (refused(event_time='"2026-11-23T12:01:00.124Z"'), "after ingest_time"),
    "carriage return": (GOOD_LINE.replace(b",", b",\r", 1), "line has a carriage return"),
    "carriage return at its end": (GOOD_LINE + b"\r", "line has a carriage return"),
    "time before any exchange": (refused(event_time='"0001-01-01T00:00:00.000Z"'), "between 1970 and 2200"),
}


@pytest.mark.parametrize(("line", "reason"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_bad_line_is_refused_with_its_number_bytes_and_reason_and_affects_no_other(line: bytes, reason: str) -> None:
    decoded = decode(GOOD_LINE + b"\n" + line + b"\n" + GOOD_LINE + b"\n")
    assert [(good.number, good.line) for good in decoded.good] == [(1, BARE), (3, BARE)]
    [bad] = decoded.bad
    assert (bad.number, bad.content) == (2, line)
    assert reason in bad.reason


def test_a_packet_of_newlines_is_decoded_up_to_the_limit_of_lines() -> None:
    decoded = decode(b"\n" * KINESIS_RECORD_BYTES, max_lines=quotes.MAX_LINES)
    assert len(decoded.bad) == quotes.MAX_LINES + 1
    assert sum(len(bad.content) for bad in decoded.bad) == KINESIS_RECORD_BYTES - quotes.MAX_LINES


def test_there_is_no_limit_of_lines_by_default() -> None:
    assert len(decode((GOOD_LINE + b"\n") * (quotes.MAX_LINES + 2)).good) == quotes.MAX_LINES + 2


def test_a_last_line_needs_no_newline_and_an_empty_packet_is_a_bad_line() -> None:
    assert [good.line for good in decode(GOOD_LINE).good] == [BARE]
    assert decode(b"").bad == (BadLine(1, b"", "empty line"),)
    assert decode(b"\n").bad == (BadLine(1, b"", "empty line"),)


@settings(max_examples=sized(20, 100), deadline=None)
@given(
    st.binary()
    | st.text().map(str.encode)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(lambda value: json.dumps(value).encode())
)
@example(b"\n\n\n")
@example(b'{"kind":"quote","v":1,"price":' + b"9" * 5_000 + b"}")
@example(b'{"kind":"quote","v":1,"price":0.' + b"9" * 5_000 + b"}")
def test_no_bytes_raise_and_every_line_is_good_or_bad(packet: bytes) -> None:
    decoded = decode(packet)
    numbers = sorted([good.number for good in decoded.good] + [bad.number for bad in decoded.bad])
    assert numbers == list(range(1, len(numbers) + 1))
    contents = {good.number: good.content for good in decoded.good} | {bad.number: bad.content for bad in decoded.bad}
    assert b"\n".join(contents[number] for number in numbers) == packet.removesuffix(b"\n")
    assert all(len(bad.reason) <= 200 for bad in decoded.bad)


@given(st.data())
def test_a_mutated_byte_affects_no_other_line(data: st.DataObject) -> None:
    packet = bytearray(encode([BARE, FULL, HEARTBEAT]))
    place = data.draw(st.integers(0, len(packet) - 1))
    mutated = packet[:place].count(b"\n") + 1
    packet[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != 10 and packet[place] != 10))
    good = {line.number: line.line for line in decode(bytes(packet)).good}
    for number, line in enumerate([BARE, FULL, HEARTBEAT], start=1):
        if number != mutated:
            assert good[number] == line


@pytest.mark.parametrize(
    ("value", "exact"),
    [
        (0.1 + 0.2, "0.30000000000000004"),
        (171.6251, "171.6251"),
        ("1e3", "1000"),
        (-0.0, "0"),
        (1e-9, "0.000000001"),
        ("1.23e-10", "0.000000000123"),
        (Decimal("700000.10"), "700000.1"),
        (100, "100"),
        ("1.50", "1.5"),
    ],
)
def test_a_price_is_the_decimal_that_its_source_printed(value: float | str, exact: str) -> None:
    price = quotes.price(value)
    assert f"{price:f}" == quotes.price_text(price) == exact


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "is not finite"),
        (float("-inf"), "is not finite"),
        ("abc", "is not a number"),
        ("1_000", "is not a number"),
        ("\u0661\u0662", "is not a number"),
        (None, "is not a number"),
        ([], "is not a number"),
        (True, "is not a number"),
        (1e12, "is not below 1000000000000"),
        ("-1e999999", "is not below 1000000000000"),
        ("1E99999999999999999999", "is not a number"),
        (1e-27, "has more than 26 decimal places"),
        ("1e-999999999", "has more than 26 decimal places"),
        ("999999999999." + 26 * "9" + "1", "has more than 26 decimal places"),
    ],
)
def test_a_price_that_cannot_be_stored_exactly_is_refused_with_the_true_reason(value: object, reason: str) -> None:
    with pytest.raises(Invalid, match=f"price .*{reason}"):
        quotes.price(value)  # type: ignore[arg-type]


@given(st.decimals(allow_nan=True, allow_infinity=True) | st.decimals(-(10**12), 10**12, places=27) | prices)
@example(Decimal("999999999999." + 26 * "9"))
@example(Decimal("999999999999." + 27 * "9"))
@example(Decimal("1E+12"))
@example(Decimal("1." + 27 * "0"))
@example(Decimal("0E+1"))
@example(Decimal("0E+999999999999"))
@example(Decimal("0E-27"))
@example(Decimal("1E-999999999"))
def test_a_quote_takes_a_price_that_is_finite_below_the_limit_and_of_at_most_26_places(price: Decimal) -> None:
    places = price.as_tuple().exponent
    fits = isinstance(places, int) and -(10**12) < price < 10**12 and (places >= -26 or not price)
    if fits:
        assert decode(encode([replace(BARE, low=price)])).good[0].line == replace(BARE, low=price)
    else:
        with pytest.raises(Invalid, match="low"):
            replace(BARE, low=price)


@pytest.mark.parametrize(
    ("price", "shown"),
    [
        ("0", "0"),
        ("13.4", "13.40"),
        ("1.0842", "1.0842"),
        ("0.00001234", "0.00001234"),
        ("0.000000000123", "0.000000000123"),
        ("0.00000712345678901", "0.0000071234568"),
        ("1e-26", "0." + 25 * "0" + "1"),
        ("-37.63", "-37.63"),
        ("-0.5", "-0.50"),
        ("171.62510681152344", "171.62511"),
        ("169.999999999", "170.00"),
        ("170.00", "170"),
        ("38915", "38,915"),
        ("60123.456789", "60,123.457"),
        ("741971.39", "741,971.39"),
        ("999999999999." + 26 * "9", "1,000,000,000,000.00"),
        ("-123456789012.3456", "-123,456,789,012.35"),
    ],
)
def test_a_price_for_people_has_sensible_digits(price: str, shown: str) -> None:
    assert quotes.short_price(Decimal(price)) == shown


def test_a_whole_price_has_the_places_of_the_prices_beside_it() -> None:
    assert quotes.short_price(Decimal(170), None, Decimal("169.5")) == "170.00"
    assert quotes.short_price(Decimal(2500), None, Decimal(2505)) == "2,500"
    assert quotes.short_price(Decimal("1.0842"), Decimal(1)) == "1.0842"


@given(
    st.decimals("-999999999999", "999999999999", allow_nan=False, places=26),
    st.integers(0, 26),
    st.lists(st.none() | st.decimals("-999999999999", "999999999999", allow_nan=False, places=4), max_size=3),
)
@settings(max_examples=sized(60, 1000))
def test_a_price_for_people_keeps_the_digits_that_matter(
    exact: Decimal, places: int, beside: list[Decimal | None]
) -> None:
    with localcontext(prec=60):
        price = quotes.price(round(exact, places))
        shown = quotes.short_price(price, *beside)
        number = Decimal(shown.replace(",", ""))
        fraction = shown.partition(".")[2]
        allowed = Decimal("0.005") if abs(price) >= 10**6 else abs(price) * Decimal("5e-8")
        assert abs(number - price) <= allowed  # half of the eighth digit, or half a cent
        assert len(fraction) != 1
        assert len(fraction) <= 2 or not fraction.endswith("0")  # no digit is invented but for the two places
        assert (fraction == "") == all(each is None or each % 1 == 0 for each in (price, *beside))


def test_texts_that_are_refused_are_not_cached() -> None:
    cached = model._check_texts.cache_info().currsize
    for field in ("symbol", "source", "currency", "exchange", "market_state"):
        with pytest.raises(Invalid, match=field):
            replace(BARE, **{field: "A" * 1_000_000})
    assert model._check_texts.cache_info().currsize == cached


def test_a_lane_depends_only_on_the_symbol_and_the_number_of_lanes() -> None:
    assert [quotes.lane_of(symbol, 16) for symbol in ("AAPL", "MSFT", "BTC-USD", "^GSPC")] == [12, 11, 0, 4]
    assert quotes.partition_key(3, 16) == "lane-03-of-16"


@pytest.mark.parametrize(
    ("key", "lanes"),
    [
        ("lane-03-of-16", 16),
        ("lane-16-of-16", None),
        ("lane-3-of-16", None),
        ("AAPL", None),
        ("lane-00-of-00", None),
        ("lane-٠٣-of-16", None),
    ],
)
def test_only_the_key_of_a_lane_has_a_number_of_lanes(key: str, lanes: int | None) -> None:
    assert quotes.lanes_of_key(key) == lanes


@given(times)
def test_a_time_is_restored_from_its_text(time: datetime) -> None:
    assert quotes.from_iso(quotes.to_iso(time)) == time
