"""Hostile requests: whatever a client sends, it gets a 4xx with a clear problem, and never a 5xx."""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Callable
from functools import cache

import msgspec
import pytest

from lane_state import LaneState
from query_api import cursors
from query_api.openapi import Endpoint
from query_api.routes import ENDPOINTS
from quotes import is_symbol
from tests.fakes.query_ports import NOW, Answer, QueryWorld
from tests.support.openapi_answers import problems_of_problem
from tests.support.query_bars import bar_row
from tests.support.query_states import MINUTE, SECOND, alert_row, make_symbol, quote_row
from tests.support.sizes import sized

REQUESTS = sized(700, 10_000)
TEXTS = [
    *(
        "",
        " ",
        "%",
        "%%",
        "%2",
        "%G0",
        "%00",
        "%ff",
        "%c0%80",
        "%ed%a0%80",
        "%E2%80%AE",
        "\x00",
        "\ud800",
        "\u202e",
        "é",
    ),
    *(
        "-1",
        "0",
        "1e3",
        "1.0",
        "+5",
        " 5",
        "5001",
        "9" * 400,
        "٣",
        "0x10",
        "NaN",
        "inf",
        "null",
        "true",
        "[]",
        "{}",
        "'",
    ),
    *(
        "'; DROP TABLE quotes; --",
        "../../etc/passwd",
        "${jndi:ldap://x}",
        "<script>",
        "A" * 9_000,
        "%0d%0aX: y",
        "=1+1",
    ),
    *("2026-02-30", "2026-13-01", "1969-12-31", "10000-01-01", "2026-11-27T25:00:00Z", "2026-11-27T10:00", "now"),
    *("9999-12-31T23:59:59-23:59", "1970-01-01T00:00:00+23:59", "253402300800", "2026-W48", "20261127", "12:00"),
    *(
        "2026-11-27T15:10:00.1234567Z",
        "2026-11-27T15:10:00+24:00",
        "2026-11-27 15:10:00Z",
        "a" * 33,
        "AAPL,",
        ",",
        "A B",
    ),
]
"""Each is wrong as a limit, a choice and a cursor, and most of them as a time or a symbol."""


ANY_TEXT = {"rule", "severity", "query", "type", "exchange", "group", "currencyCode", "unitId"}
"""Filters, and what is ignored."""
NUMBERS = ("start", "end", "from", "to")


@pytest.fixture(scope="module")
def world() -> QueryWorld:
    """A feed with something of everything."""
    world = QueryWorld()
    world.quotes.put(*(quote_row("AAPL", NOW - number * SECOND) for number in range(20)))
    world.bars.put(*(bar_row("AAPL", NOW - number * MINUTE) for number in range(20)))
    world.alerts.put(*(alert_row(NOW - number * MINUTE, f"a{number}") for number in range(20)))
    world.calendars.put({"id": "symbols", "name": "AAPL", "calendar": "XNYS", "timezone": "America/New_York"})
    world.commit(world.lane("AAPL"), LaneState(clock=NOW, symbols={"AAPL": make_symbol()}))
    return world


def with_wrong_value(random_: random.Random, endpoint: Endpoint, _: QueryWorld) -> str | None:
    """A parameter of the endpoint with a value that is not allowed. A filter takes any text that can be decoded."""
    names = sorted(endpoint.names - ANY_TEXT)
    if not names:
        return None
    name, text = random_.choice(names), random_.choice(TEXTS)
    good = text.isascii() and text.isdigit() and len(text) <= 12 if name in NUMBERS else is_symbol(text)
    return None if good else f"{name}={text}"


def with_unknown_name(random_: random.Random, _: Endpoint, __: QueryWorld) -> str:
    """A parameter that no endpoint has."""
    name = "".join(random_.choice("abcXYZ_-.é\u202e%&=\x00[]") for _ in range(random_.randrange(1, 12)))
    return f"x{name}={random_.choice(TEXTS)}"


def with_repeated_name(random_: random.Random, endpoint: Endpoint, _: QueryWorld) -> str | None:
    """A parameter twice, each with a good value."""
    good = {
        "limit": "5",
        "start": "2026-11-01",
        "end": "2026-11-30",
        "order": "asc",
        "symbols": "AAPL",
        "symbol": "AAPL",
    }
    names = sorted(good.keys() & endpoint.names)
    if not names:
        return None
    name = random_.choice(names)
    return f"{name}={good[name]}&{name}={good[name]}"


def with_noise(random_: random.Random, _: Endpoint, __: QueryWorld) -> str:
    """Bytes that no parameter has."""
    return "q" + "".join(f"%{random_.randrange(256):02x}" for _ in range(random_.randrange(1, 40)))


@cache
def first_cursor(path: str, world: QueryWorld) -> str:
    """The cursor of the second page of an endpoint."""
    cursor: str = world.get(path, limit=1).json()["next"]
    return cursor


def with_damaged_cursor(random_: random.Random, endpoint: Endpoint, world: QueryWorld) -> str | None:
    """A cursor of this query with another character, cut off, or longer; or one of another query."""
    if "cursor" not in endpoint.names:
        return None
    cursor = first_cursor(endpoint.path.replace("{symbol}", "AAPL"), world)
    place = random_.randrange(len(cursor))
    other = random_.choice([each for each in "ABCabc012-_" if each != cursor[place]])
    content = msgspec.json.encode([random_.choice(["", "x", "9" * 40])] * random_.randrange(6))
    damaged = [
        cursor[:place] + other + cursor[place + 1 :],
        cursor[:place],
        cursor + random_.choice(["A", "AAAA", "%00", "=", "."]),
        f"{cursor}&start=2026-11-0{random_.randrange(1, 9)}",
        base64.urlsafe_b64encode(content).decode().rstrip("="),
    ]
    return f"cursor={random_.choice(damaged)}"


ATTACKS: list[Callable[[random.Random, Endpoint, QueryWorld], str | None]] = [
    *(with_wrong_value, with_unknown_name, with_repeated_name, with_noise, with_damaged_cursor)
]


def test_hostile_parameters_get_a_4xx(world: QueryWorld) -> None:
    random_ = random.Random(17)
    sent = 0
    while sent < REQUESTS:
        endpoint = random_.choice(ENDPOINTS)
        query = random_.choice(ATTACKS)(random_, endpoint, world)
        if query is None:
            continue
        sent += 1
        path = endpoint.path.replace("{symbol}", "AAPL")
        assert_is_clear(world.get(path, query=query), f"{path}?{query!r}")
    assert world.log == []


@pytest.mark.parametrize("text", TEXTS)
def test_a_symbol_of_which_nothing_can_be_stored_is_refused(world: QueryWorld, text: str) -> None:
    assert_is_clear(world.get(f"/v1/quotes/{text}"), text)


@pytest.mark.parametrize("position", [[], ["x"], ["", "", "", ""], ["2026-11-23"] * 4, ["a", "b"], ["~"]])
@pytest.mark.parametrize("path", ["/v1/quotes/AAPL", "/v1/bars/AAPL", "/v1/alerts"])
def test_a_forged_cursor_whose_checksum_is_right_is_refused(world: QueryWorld, path: str, position: list[str]) -> None:
    assert_is_clear(world.get(path, cursor=cursors.encode(f"{path}?", *position)), path)


@pytest.mark.parametrize(
    ("path", "position"),
    [
        ("/v1/quotes/AAPL", b"{"),
        ("/v1/bars/AAPL", b"[1]"),
        ("/v1/bars/AAPL", b"\xff"),
        ("/v1/bars/AAPL", b'["0001-01-01T00:00:00.000Z"]'),
        ("/v1/alerts", b'["9999-12-01T00:00:00.000Z","9999-12-31T23:59:59.999Z","2026-11-23",""]'),
    ],
)
def test_a_forged_cursor_that_no_page_has_is_refused(world: QueryWorld, path: str, position: bytes) -> None:
    checksum = hashlib.sha256(f"{path}?\0".encode() + position).digest()[:9]
    forged = base64.urlsafe_b64encode(checksum + position).decode().rstrip("=")
    assert_is_clear(world.get(path, cursor=forged), path)


def assert_is_clear(answer: Answer, request: str) -> None:
    assert 400 <= answer.status < 500, request
    assert answer.headers["content-type"] == "application/problem+json", request
    assert problems_of_problem(answer.json()) == [], request
    problem = answer.json()
    assert problem["status"] == answer.status
    assert problem["detail"].endswith("."), request
    assert problem["detail"].isprintable(), request
    assert len(problem["detail"]) < 500, request
