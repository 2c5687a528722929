"""`/udf/symbols`, `/udf/symbol_info`, `/udf/search` and `/udf/quotes`.

TradingView's UDF protocol, which its charting library and OpenBB Workspace read:
https://www.tradingview.com/charting-library-docs/latest/connecting_data/UDF
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import localcontext
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from bars.sessions import SymbolCalendar
from lane_state import LaneState, SymbolState
from query_api import json_text
from query_api.endpoints.latest import CONTEXT, percent_of
from query_api.endpoints.sessions import newest_time, sessions_of
from query_api.errors import unknown_symbol, wrong_parameter
from query_api.http import Request, Response
from query_api.openapi import BOOLEAN, SYMBOL_SCHEMA, TEXT, Endpoint, Parameter, array, described, record
from query_api.parameters import Parameters, check_symbol
from query_api.ports import Stores
from query_api.symbol_facts import NO_ZONE, SymbolFacts
from query_api.udf_sessions import TradingHours, trading_hours

RESOLUTIONS = {"1": "1m", "5": "5m", "15": "15m", "60": "1h", "1D": "1d", "D": "1d"}
"""The resolutions of the protocol, and ours."""
SHOWN_RESOLUTIONS = ["1", "5", "15", "60", "1D"]
TYPES = ("stock", "index", "forex", "futures", "crypto")
"""The types of symbols."""
_SESSIONS_AROUND = timedelta(days=200)
_DEFAULT_RESULTS, _MAX_RESULTS = 30, 500
_LEAST_DECIMALS, _MOST_DECIMALS = 2, 10
_encode = msgspec.json.Encoder().encode

IGNORED = (
    Parameter("currencyCode", "Ignored. Prices are in the currency of their source.", TEXT),
    Parameter("unitId", "Ignored.", TEXT),
)
"""What clients send, and we have nothing for."""


def symbols(request: Request, stores: Stores) -> Response:
    """What is known of one symbol."""
    symbol = symbol_parameter(Parameters(request.query, SYMBOLS.names))
    facts = _known_symbols(stores).get(symbol)
    if facts is None:
        raise unknown_symbol(symbol)
    return _answer(_information(facts, _hours(facts, stores, request.now)))


def symbol_info(request: Request, stores: Stores) -> Response:
    """What is known of all symbols, as a table."""
    Parameters(request.query, SYMBOL_INFO.names)
    hours: dict[SymbolCalendar | None, TradingHours] = {}
    rows = []
    for _, facts in sorted(_known_symbols(stores).items()):
        if facts.calendar not in hours:
            hours[facts.calendar] = _hours(facts, stores, request.now)
        rows.append(_information(facts, hours[facts.calendar]))
    table = {name: [row[member] for row in rows] for name, member in _TABLE.items()}
    return _answer({**table, "minmovement": 1, "minmovement2": 0, "has-intraday": True, "has-daily": True})


def search(request: Request, stores: Stores) -> Response:
    """The symbols with a text in their names. Those that begin with it come first."""
    parameters = Parameters(request.query, SEARCH.names)
    most = parameters.limit(_DEFAULT_RESULTS, _MAX_RESULTS)
    text, kind, exchange = ((parameters.text(name) or "").upper() for name in ("query", "type", "exchange"))
    found = [
        facts
        for symbol, facts in _known_symbols(stores).items()
        if text in symbol.upper()
        and kind in ("", type_of(symbol).upper())
        and exchange in ("", _exchange(facts).upper(), "" if facts.calendar is None else facts.calendar.calendar)
    ]
    found.sort(key=lambda facts: (not facts.symbol.upper().startswith(text), facts.symbol))
    return _answer(
        [
            {
                "symbol": facts.symbol,
                "full_name": facts.symbol,
                "ticker": facts.symbol,
                "description": facts.symbol,
                "exchange": _exchange(facts),
                "type": type_of(facts.symbol),
            }
            for facts in found[:most]
        ]
    )


def quotes(request: Request, stores: Stores) -> Response:
    """The last prices of some symbols."""
    wanted = Parameters(request.query, QUOTES.names).symbols()
    if not wanted:
        raise wrong_parameter("symbols", "it is missing. Name symbols, separated by commas.")
    states: dict[str, SymbolState] = {}
    for lane in stores.lanes.of(wanted).values():
        states |= lane.symbols
    rows = ",".join([_quote(symbol, states.get(symbol)) for symbol in wanted])
    return Response(body=f'{{"s":"ok","d":[{rows}]}}'.encode())


def symbol_parameter(parameters: Parameters) -> str:
    """The symbol that a query names. Raises `Problem` if it names none."""
    symbol = parameters.text("symbol")
    if symbol is None:
        raise wrong_parameter("symbol", "it is missing.")
    check_symbol(symbol, "symbol")
    return symbol


def type_of(symbol: str) -> str:
    """The type of a symbol, by the form of its name."""
    if symbol.startswith("^"):
        return "index"
    if symbol.endswith("=X"):
        return "forex"
    if symbol.endswith("=F"):
        return "futures"
    return "crypto" if symbol.endswith(("-USD", "-EUR", "-GBP")) else "stock"


def _known_symbols(stores: Stores) -> dict[str, SymbolFacts]:
    """All symbols that have a state or a calendar."""
    calendars = stores.calendars.all()
    lanes: dict[str, LaneState] = {symbol: lane for lane in stores.lanes.all().values() for symbol in lane.symbols}
    return {
        symbol: SymbolFacts(symbol, lanes.get(symbol), calendars.get(symbol)) for symbol in lanes.keys() | calendars
    }


def _state(facts: SymbolFacts) -> SymbolState | None:
    return None if facts.lane is None else facts.lane.symbols.get(facts.symbol)


def _exchange(facts: SymbolFacts) -> str:
    state = _state(facts)
    if state is not None and state.exchange:
        return state.exchange
    return "" if facts.calendar is None else facts.calendar.calendar


def _hours(facts: SymbolFacts, stores: Stores, now: datetime) -> TradingHours:
    newest = newest_time(facts, now)
    if facts.calendar is not None and facts.calendar.calendar == "always":
        return trading_hours([], facts.zone)
    found = sessions_of(facts, stores, newest - _SESSIONS_AROUND, newest + _SESSIONS_AROUND)
    return trading_hours(found.sessions, ZoneInfo(facts.timezone))


def _information(facts: SymbolFacts, hours: TradingHours) -> dict[str, Any]:
    state = _state(facts)
    delay = 0 if state is None else state.delay_minutes
    known: dict[str, Any] = {
        "name": facts.symbol,
        "ticker": facts.symbol,
        "description": facts.symbol,
        "type": type_of(facts.symbol),
        "session": hours.session,
        "exchange": _exchange(facts),
        "listed_exchange": _exchange(facts),
        "timezone": "Etc/UTC" if facts.timezone == NO_ZONE else facts.timezone,
        "format": "price",
        "minmov": 1,
        "minmove2": 0,
        "pricescale": 10 ** _decimals(state),
        "has_intraday": True,
        "has_daily": True,
        "has_weekly_and_monthly": False,
        "intraday_multipliers": ["1", "5", "15", "60"],
        "supported_resolutions": SHOWN_RESOLUTIONS,
        "visible_plots_set": "ohlcv",
        "volume_precision": 0,
        "data_status": "delayed_streaming" if delay else "streaming",
        "delay": delay * 60,
    }
    if hours.holidays:
        known["session_holidays"] = hours.holidays
    if hours.corrections:
        known["corrections"] = hours.corrections
    if facts.currency is not None:
        known["currency_code"] = facts.currency
    return known


def _decimals(state: SymbolState | None) -> int:
    """How many places after the point prices have."""
    prices = [] if state is None else [each for each in (state.price, state.previous_close) if each is not None]
    exponents = [price.normalize().as_tuple().exponent for price in prices]
    places = [-exponent for exponent in exponents if isinstance(exponent, int)]
    return min(max([_LEAST_DECIMALS, *places]), _MOST_DECIMALS)


def _quote(symbol: str, state: SymbolState | None) -> str:
    name = json_text.text(symbol)
    if state is None or state.price is None:
        return f'{{"s":"error","n":{name},"v":{{}},"errmsg":"Nothing is stored of the symbol."}}'
    values = {
        "short_name": name,
        "description": name,
        "exchange": json_text.text(state.exchange or ""),
        "lp": json_text.number(state.price),
    }
    if state.previous_close is not None:
        with localcontext(CONTEXT):
            change = state.price - state.previous_close
            values["prev_close_price"] = json_text.number(state.previous_close)
            values["ch"] = json_text.number(change)
            if state.previous_close:
                values["chp"] = json_text.number(percent_of(change, state.previous_close))
    if state.volume is not None:
        values["volume"] = str(state.volume)
    members = ",".join([f'"{member}":{value}' for member, value in values.items()])
    return f'{{"s":"ok","n":{name},"v":{{{members}}}}}'


def _answer(value: Mapping[str, Any] | list[Any]) -> Response:
    return Response(body=_encode(value))


_TABLE = {
    "symbol": "name",
    "ticker": "ticker",
    "description": "description",
    "exchange-listed": "listed_exchange",
    "exchange-traded": "exchange",
    "type": "type",
    "timezone": "timezone",
    "session-regular": "session",
    "pricescale": "pricescale",
}
"""The columns of `/udf/symbol_info`, and what they are in `/udf/symbols`."""
_NUMBER = {"type": "number"}
_INTEGER = {"type": "integer"}
_TEXTS = array(TEXT)
SYMBOL_OF_QUERY = Parameter("symbol", "A symbol.", SYMBOL_SCHEMA, is_required=True)
_DESCRIBED = {
    **dict.fromkeys(("name", "ticker", "description", "type"), TEXT),
    "session": described(TEXT, "The hours of a usual day, such as 0930-1600, or 24x7."),
    "exchange": TEXT,
    "listed_exchange": TEXT,
    "timezone": TEXT,
    "format": TEXT,
    "minmov": _INTEGER,
    "minmove2": _INTEGER,
    "pricescale": described(_INTEGER, "10 to the number of places after the point."),
    **dict.fromkeys(("has_intraday", "has_daily", "has_weekly_and_monthly"), BOOLEAN),
    "intraday_multipliers": _TEXTS,
    "supported_resolutions": _TEXTS,
    "visible_plots_set": TEXT,
    "volume_precision": _INTEGER,
    "data_status": TEXT,
    "delay": described(_INTEGER, "The delay of prices in seconds."),
    "session_holidays": described(TEXT, "The days from Monday to Friday without a session."),
    "corrections": described(TEXT, "The days with other hours."),
    "currency_code": TEXT,
}
SYMBOLS = Endpoint(
    path="/udf/symbols",
    answer=symbols,
    summary="What is known of one symbol.",
    description="Its hours come from the sessions of its exchange: the usual day, and the days that differ.",
    parameters=(SYMBOL_OF_QUERY, *IGNORED),
    schema=record(_DESCRIBED, ["session_holidays", "corrections", "currency_code"]),
)
SYMBOL_INFO = Endpoint(
    path="/udf/symbol_info",
    answer=symbol_info,
    summary="What is known of all symbols.",
    description="For clients that load all symbols at once. Each list has one value for each symbol.",
    parameters=(Parameter("group", "Ignored. There is one group.", TEXT),),
    schema=record(
        {name: array(_DESCRIBED[member]) for name, member in _TABLE.items()}
        | {"minmovement": _INTEGER, "minmovement2": _INTEGER, "has-intraday": BOOLEAN, "has-daily": BOOLEAN}
    ),
)
SEARCH = Endpoint(
    path="/udf/search",
    answer=search,
    summary="Symbols by a part of their names.",
    description="The symbols that begin with the text come first.",
    parameters=(
        Parameter("query", "A part of a symbol. Every symbol has the empty text.", TEXT),
        Parameter("type", "Only symbols of a type of `/udf/config`.", TEXT),
        Parameter("exchange", "Only symbols of an exchange of `/udf/config`.", TEXT),
        Parameter(
            "limit",
            "The most symbols.",
            {"type": "integer", "minimum": 1, "maximum": _MAX_RESULTS, "default": _DEFAULT_RESULTS},
        ),
    ),
    schema=array(record(dict.fromkeys(("symbol", "full_name", "ticker", "description", "exchange", "type"), TEXT))),
)
QUOTES = Endpoint(
    path="/udf/quotes",
    answer=quotes,
    summary="The last prices of some symbols.",
    description="`lp` is the last price, `ch` its change since the previous close, and `chp` the change in percent.",
    parameters=(
        Parameter(
            "symbols",
            "Symbols, separated by commas.",
            {"type": "string", "pattern": r"^[A-Za-z0-9.^=&$_:/+-]{1,32}(,[A-Za-z0-9.^=&$_:/+-]{1,32})*$"},
            is_required=True,
        ),
    ),
    schema=record(
        {
            "s": TEXT,
            "d": array(
                record(
                    {
                        "s": {"type": "string", "enum": ["ok", "error"]},
                        "n": TEXT,
                        "v": record(
                            {
                                **dict.fromkeys(("short_name", "description", "exchange"), TEXT),
                                **dict.fromkeys(("lp", "prev_close_price", "ch", "chp", "volume"), _NUMBER),
                            },
                            ["short_name", "description", "exchange", "lp", "prev_close_price", "ch", "chp", "volume"],
                        ),
                        "errmsg": TEXT,
                    },
                    ["errmsg"],
                )
            ),
        }
    ),
)
