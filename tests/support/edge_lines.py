"""Lines at the edges of the grammars that read them: JSON, DynamoDB's numbers, Athena's and DuckDB's tables."""

from __future__ import annotations

from hypothesis import strategies as st

PRICES = ("price", "open", "high", "low", "previous_close")
COUNTS = ("volume", "delay_minutes", "revision")
TIMES = ("event_time", "ingest_time", "source_time")
TEXTS = ("symbol", "source", "currency", "exchange", "market_state", "volume_period", "provenance")
PLAIN = {
    "kind": '"quote"',
    "v": "1",
    "symbol": '"AAPL"',
    "event_time": '"2026-11-23T14:30:00.000Z"',
    "price": "171.62",
    "source": '"test"',
    "ingest_time": '"2026-11-23T14:30:01.000Z"',
}

_WHOLE = ["0", "1", "9", "10", "170", "999999999999", "1000000000000", "007", ""]
_FRACTIONS = ["", ".0", ".50", ".", "." + 25 * "0" + "1", "." + 26 * "9", "." + 26 * "0" + "1", ".12345678901234567"]
_EXPONENTS = ["", "", "", "", "", "", "e0", "E5", "e-10", "e+2", "e126", "e1000", "e-131", "e999999999999999999999"]
numbers = (
    st.builds("".join, st.tuples(*map(st.sampled_from, (["", "", "-", "+"], _WHOLE, _FRACTIONS, _EXPONENTS))))
    | st.decimals(-(10**12), 10**12, places=26).map(lambda number: f"{number:f}")
    | st.sampled_from(["NaN", "Infinity", "null", "true", '"1.5"', "0x10", "1_0", "9" * 400, "[]", "{}", "1 0"])
)
counts = (
    st.sampled_from(
        ["0", "-0", "1.0", "1e2", "9223372036854775807", "9223372036854775808", "18446744073709551616", "-1"]
    )
    | st.integers(0, 2**63 - 1).map(str)
    | numbers
)
times = st.sampled_from(
    """
    2026-11-23T14:30:00.000Z|2026-11-23T14:29:59.999Z|1970-01-01T00:00:00.000Z|2026-11-23T14:30:00Z|2026-11-23T14:30Z
    2026-11-23t14:30:00.000Z|2026-11-23T14:30:00.000z|2026-11-23 14:30:00.000Z|2026-11-23T14:30:00.000+00:00
    2026-11-23T14:30:00.000-00:00|2026-11-23T15:30:00.000+01:00|2026-11-23T24:00:00.000Z|2026-11-23T14:29:60.000Z
    2026-11-23T14:30:00,000Z|2026-11-23T14:30:00.0Z|2026-11-23T14:30:00.000000Z|2026-11-23T14:30:00.000000000Z
    2026-W48-1T14:30:00.000Z|2026-11-23|2026\\u002d11-23T14:30:00.000Z|0001-01-01T00:00:00.000Z|2200-01-01T00:00:00.000Z
    """.replace("\n", "|").split("|")
).map(lambda time: f'"{time.strip()}"')
texts = st.sampled_from(
    [
        *('"USD"', '"EUR\\/USD"', '"M\\u0026M.NS"', '"a\\"price\\":9,"', '"back\\\\slash"', '"\\ud800"', '"\\u0000"'),
        *('"\\u2028"', '"\u00e9"', '""', '" x"', '"x "', '"a\tb"', '"24h"', '"backfill"', "null", "7", '"price"'),
        *('"nul\0"', "'USD'", "USD"),
    ]
)
_values = {**dict.fromkeys(PRICES, numbers), **dict.fromkeys(COUNTS, counts), **dict.fromkeys(TIMES, times)}
_members = st.sampled_from([*PRICES, *COUNTS, *TIMES, *TEXTS]).flatmap(
    lambda name: st.tuples(st.just(name), _values.get(name, texts))
)
_forms = st.sampled_from(["usual"] * 6 + ["reversed", "spaces", "tabs", "capital", "escaped", "repeated", "unknown"])
_around = st.sampled_from(
    [(b"", b"")] * 12
    + [
        (b" ", b""),
        (b"\xef\xbb\xbf", b""),
        (b"[", b"]"),
        (b"\0", b""),
        (b"", b" \t"),
        (b"", b"\r"),
        (b"", b"\0"),
        (b"", b"x"),
    ]
    + [(b"", b"{}"), (b"", b","), (b"", b"//"), (b"", b"\xff"), (b"", b"\xc2\xa0"), (b"", b"\f")]
)


@st.composite
def edge_lines(draw: st.DrawFn) -> bytes:
    """A line of a quote with a few members, and perhaps a form, at the edge of what somebody accepts."""
    members = list((PLAIN | dict(draw(st.lists(_members, max_size=3)))).items())
    key, value = members[draw(st.integers(0, len(members) - 1))]
    form = draw(_forms)
    match form:
        case "reversed":
            members.reverse()
        case "capital":
            members.append((key.title(), value))
        case "escaped":
            members[members.index((key, value))] = (f"\\u{ord(key[0]):04x}{key[1:]}", value)
        case "repeated":
            members.append((key, value))
        case "unknown":
            members.append(("bid", value))
    blank = {"spaces": " ", "tabs": "\t"}.get(form, "")
    texts = (f'"{name}"{blank}:{blank}{text}' for name, text in members)
    before, after = draw(_around)
    return before + ("{" + f"{blank},{blank}".join(texts) + "}").encode() + after
