"""When a symbol trades and until when its prices come, as its Yahoo name shows. Pure.

The calendars are those of exchange_calendars. Yahoo documents its suffixes and delays:
https://help.yahoo.com/kb/SLN2310.html. docs/exchanges.md shows the tables of this module.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import cache

import msgspec

from watchlist.groups import ALWAYS

HOME = "XNYS"
"""The calendar of symbols without a suffix. They trade in the United States, whose exchanges share their hours."""

WEEK = "24/5"
"""The calendar of Monday to Friday in UTC, without holidays. Currencies and futures trade on most holidays."""


class Trading(msgspec.Struct, frozen=True, kw_only=True):
    """When a symbol trades, and how late its prices come."""

    calendar: str
    is_known: bool = True
    """Whether the symbol trades when its calendar says. If not, nobody knows when, so it is polled at any time."""
    opens_earlier: timedelta = timedelta()
    """How long before the calendar's opens the market may open."""
    closes_later: timedelta = timedelta()
    """How long after the calendar's closes the market may close."""
    doubtful_days_off: bool = False
    """Whether the market may trade on days on which the calendar has no session. Then they count as open."""
    settling: timedelta = timedelta()
    """For how long after the close prices of the session still come: closing auctions, official closes, late prints."""
    stamped_before_close: timedelta = timedelta()
    """How long before the close the event times of prices may be that come while the session settles."""
    delay: timedelta = timedelta()
    """The delay of prices, as long as the source has declared none."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange that Yahoo names. Times are in minutes."""

    name: str
    suffixes: tuple[str, ...]
    calendar: str
    opens_earlier: int = 0
    closes_later: int = 0
    doubtful_days_off: bool = False
    is_known: bool = True
    """Whether it trades when its calendar says."""
    settling: int = 60
    delay: int = 15
    """As Yahoo documents it. Exchanges that it calls real-time have 15 too: recorded bodies of Toronto declare 15."""

    def trading(self, kind: Kind) -> Trading:
        """The trading of a symbol of this exchange."""
        return Trading(
            calendar=self.calendar,
            is_known=self.is_known,
            opens_earlier=timedelta(minutes=self.opens_earlier),
            closes_later=timedelta(minutes=self.closes_later),
            doubtful_days_off=self.doubtful_days_off,
            settling=max(timedelta(minutes=self.settling), kind.settling),
            stamped_before_close=kind.stamped_before_close,
            delay=timedelta(minutes=self.delay),
        )


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of instrument."""

    settling: timedelta = timedelta()
    """At least how long its sessions settle."""
    stamped_before_close: timedelta = timedelta()


SHARE = Kind()
INDEX = Kind(settling=timedelta(hours=3))
"""Indices are corrected after the last trades: Yahoo's Nasdaq Composite usually bears 17:16 in New York."""
FUND = Kind(settling=timedelta(hours=16), stamped_before_close=timedelta(hours=2))
"""A net asset value appears in the evening or at night. A recorded one bears 15:00 in Toronto, before the close."""

UNITED_STATES = Exchange(name="United States", suffixes=(), calendar=HOME)
WORLD_WEEK = Exchange(
    name="currencies, futures",
    suffixes=("CBT", "CMX", "NYM", "NYB"),
    calendar=WEEK,
    opens_earlier=240,  # Monday begins in Auckland, on Sunday evening in UTC
    delay=30,
)
COINS = Exchange(name="coins", suffixes=(), calendar=ALWAYS, delay=30)
UNKNOWN = Exchange(name="unknown", suffixes=(), calendar=ALWAYS, is_known=False, delay=30)

EXCHANGES = (
    # Europe. Closing auctions and trading at the closing price end at most 15 minutes after the close.
    Exchange(name="London", suffixes=("L", "IL", "XC"), calendar="XLON", delay=20),
    Exchange(name="Dublin", suffixes=("IR",), calendar="XDUB"),
    Exchange(name="Xetra", suffixes=("DE",), calendar="XETR", opens_earlier=60),
    # The calendar knows the hours of Xetra. The floor trades from 8:00 to 22:00.
    Exchange(name="Frankfurt", suffixes=("F",), calendar="XFRA", opens_earlier=60, closes_later=270),
    Exchange(name="Stuttgart", suffixes=("SG",), calendar="XSTU", closes_later=60),
    Exchange(
        name="Berlin, Bremen, Düsseldorf, Hamburg, Hanover, Munich",
        suffixes=("BE", "BM", "DU", "HM", "HA", "MU"),
        calendar="XDUS",
        opens_earlier=60,
        closes_later=60,
    ),
    Exchange(name="Paris, Euronext", suffixes=("PA", "NX"), calendar="XPAR"),
    Exchange(name="Amsterdam", suffixes=("AS",), calendar="XAMS"),
    Exchange(name="Brussels", suffixes=("BR",), calendar="XBRU"),
    Exchange(name="Lisbon", suffixes=("LS",), calendar="XLIS"),
    Exchange(name="Milan", suffixes=("MI",), calendar="XMIL", delay=20),
    Exchange(name="EuroTLX", suffixes=("TI",), calendar="XMIL", closes_later=180, delay=20),
    Exchange(name="Madrid", suffixes=("MC",), calendar="XMAD"),
    Exchange(name="Swiss Exchange", suffixes=("SW",), calendar="XSWX", delay=30),
    Exchange(name="Vienna", suffixes=("VI",), calendar="XWBO"),
    Exchange(name="Stockholm", suffixes=("ST",), calendar="XSTO"),
    Exchange(name="Helsinki", suffixes=("HE",), calendar="XHEL"),
    Exchange(name="Copenhagen", suffixes=("CO",), calendar="XCSE"),
    Exchange(name="Oslo", suffixes=("OL",), calendar="XOSL"),
    Exchange(name="Iceland", suffixes=("IC",), calendar="XICE"),
    Exchange(name="Tallinn", suffixes=("TL",), calendar="XTAL"),
    Exchange(name="Riga", suffixes=("RG",), calendar="XRIS"),
    Exchange(name="Vilnius", suffixes=("VS",), calendar="XLIT"),
    Exchange(name="Warsaw", suffixes=("WA",), calendar="XWAR"),
    Exchange(name="Prague", suffixes=("PR",), calendar="XPRA", delay=20),
    Exchange(name="Budapest", suffixes=("BD",), calendar="XBUD"),
    # Days off that depend on the moon are known only shortly before.
    Exchange(name="Istanbul", suffixes=("IS",), calendar="XIST", opens_earlier=30, doubtful_days_off=True),
    # Middle East and Africa. The week of Tel Aviv changed in 2026.
    Exchange(name="Tel Aviv", suffixes=("TA",), calendar="XTAE", opens_earlier=30, doubtful_days_off=True, delay=20),
    Exchange(name="Saudi Arabia", suffixes=("SR", "SAU"), calendar="XSAU", opens_earlier=30, doubtful_days_off=True),
    Exchange(name="Johannesburg", suffixes=("JO",), calendar="XJSE", opens_earlier=30),
    # The Americas.
    Exchange(name="Canada", suffixes=("TO", "V", "NE", "CN"), calendar="XTSE", settling=75),
    # It follows the clock of New York, and the calendar that of Mexico, which has no summer time.
    Exchange(name="Mexico", suffixes=("MX",), calendar="XMEX", opens_earlier=60, delay=20),
    # Trades at the closing price follow until 18:45. Local holidays of São Paulo are trading days since 2022.
    Exchange(
        name="São Paulo", suffixes=("SA",), calendar="BVMF", opens_earlier=30, doubtful_days_off=True, settling=90
    ),
    Exchange(name="Buenos Aires", suffixes=("BA",), calendar="XBUE", opens_earlier=60, delay=30),
    Exchange(name="Santiago", suffixes=("SN",), calendar="XSGO", opens_earlier=30, closes_later=60),
    Exchange(name="Colombia", suffixes=("CL",), calendar="XBOG", opens_earlier=60, closes_later=60),
    # Asia and the Pacific.
    Exchange(name="Tokyo", suffixes=("T",), calendar="XTKS", delay=20),
    Exchange(name="Hong Kong", suffixes=("HK",), calendar="XHKG", opens_earlier=30),
    Exchange(name="Shanghai, Shenzhen", suffixes=("SS", "SZ"), calendar="XSHG", opens_earlier=30, delay=30),
    Exchange(name="Taiwan", suffixes=("TW", "TWO"), calendar="XTAI", opens_earlier=30, settling=75, delay=20),
    # On the day of the university exam and on the year's first day, trading begins an hour late, and may end late.
    Exchange(
        name="Korea", suffixes=("KS", "KQ"), calendar="XKRX", opens_earlier=60, closes_later=60, settling=90, delay=20
    ),
    Exchange(name="Singapore", suffixes=("SI",), calendar="XSES", opens_earlier=30, doubtful_days_off=True, delay=20),
    Exchange(name="Malaysia", suffixes=("KL",), calendar="XKLS", opens_earlier=30, doubtful_days_off=True),
    Exchange(name="Thailand", suffixes=("BK",), calendar="XBKK", opens_earlier=30),
    Exchange(name="Indonesia", suffixes=("JK",), calendar="XIDX", opens_earlier=30, doubtful_days_off=True),
    Exchange(name="Philippines", suffixes=("PS",), calendar="XPHS", opens_earlier=30, doubtful_days_off=True),
    # Special sessions: an hour in the evening of Diwali, and Saturdays and Sundays with a budget or a test.
    Exchange(name="India", suffixes=("NS", "BO"), calendar="XBOM", opens_earlier=30, doubtful_days_off=True),
    Exchange(name="Australia", suffixes=("AX", "XA"), calendar="XASX", opens_earlier=30, settling=75, delay=20),
    Exchange(name="New Zealand", suffixes=("NZ",), calendar="XNZE", opens_earlier=30, delay=20),
)
# Other suffixes are polled at any time. Of those that Yahoo names, exchange_calendars does not know .AE, .CA, .CR, .KW,
# .QA, .VN and .XD, cannot compute .AT and .RO with pandas 3.1, and does not know that .CME and .ME trade at weekends.

_INDICES = {
    "^GSPC": HOME, "^DJI": HOME, "^IXIC": HOME, "^NDX": HOME, "^RUT": HOME, "^NYA": HOME, "^XAX": HOME, "^OEX": HOME,
    "^MID": HOME, "^SP600": HOME, "^SOX": HOME, "^W5000": HOME, "^RUI": HOME, "^RUA": HOME, "^DJT": HOME, "^DJU": HOME,
    "^DJA": HOME, "^TNX": HOME, "^TYX": HOME, "^FVX": HOME, "^IRX": HOME,
    "^FTSE": "XLON", "^FTMC": "XLON", "^FTAS": "XLON", "^GDAXI": "XETR", "^MDAXI": "XETR", "^TECDAX": "XETR",
    "^STOXX": "XETR", "^STOXX50E": "XETR", "^FCHI": "XPAR", "^AEX": "XAMS", "^BFX": "XBRU", "^IBEX": "XMAD",
    "^SSMI": "XSWX", "^ATX": "XWBO", "^OMX": "XSTO", "^OMXH25": "XHEL", "^OMXC25": "XCSE",
    "^N225": "XTKS", "^HSI": "XHKG", "^HSCE": "XHKG", "^TWII": "XTAI", "^KS11": "XKRX", "^KS200": "XKRX",
    "^KQ11": "XKRX", "^STI": "XSES", "^KLSE": "XKLS", "^JKSE": "XIDX", "^BSESN": "XBOM", "^NSEI": "XBOM",
    "^NSEBANK": "XBOM", "^AXJO": "XASX", "^AORD": "XASX", "^NZ50": "XNZE",
    "^GSPTSE": "XTSE", "^MXX": "XMEX", "^BVSP": "BVMF", "^MERV": "XBUE",
}  # fmt: skip
# ^VIX and its relatives are left out, because they are computed nearly around the clock.

_CURRENCIES = frozenset(
    {
        "AUD", "BRL", "CAD", "CHF", "CLP", "CNH", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "IDR", "INR", "JPY",
        "KRW", "MXN", "MYR", "NOK", "NZD", "PHP", "PLN", "RON", "SEK", "SGD", "THB", "TRY", "TWD", "USD", "ZAR",
    }
)  # fmt: skip
"""Currencies that trade from Monday to Friday. Others, such as those of the Gulf, have other weeks."""

_COIN_FUTURES = frozenset(["BTC", "ETH", "MBT", "MET", "SOL", "XRP"])
"""Futures that trade at weekends too."""

_US_FUND = re.compile(r"[A-Z]{4}X")
_US_SHARE = re.compile(r"[A-Z0-9]{1,6}(?:-[A-Z]{1,2})?")
"""A share or a class of shares, such as `BRK-B` or `BAC-PL`. A longer end names a currency, as in `BTC-PLN`."""

_COIN = re.compile(r"[A-Z0-9]+-[A-Z]{3,5}")
"""A coin in a currency or in another coin, such as `BTC-USD` or `ETH-BTC`."""

BY_SUFFIX = {suffix: exchange for exchange in (WORLD_WEEK, *EXCHANGES) for suffix in exchange.suffixes}
_BY_CALENDAR = {exchange.calendar: exchange for exchange in reversed((UNITED_STATES, *EXCHANGES))}


@cache
def trading_of(symbol: str) -> Trading:
    """When a symbol trades. A name that tells nothing is polled at any time."""
    name = symbol.upper()
    stem, dot, suffix = name.rpartition(".")
    if dot:
        kind = FUND if stem.startswith("0P") else INDEX if stem.startswith("^") else SHARE
        return BY_SUFFIX.get(suffix, UNKNOWN).trading(kind)
    if name.startswith("^"):
        return _BY_CALENDAR.get(_INDICES.get(name, ALWAYS), UNKNOWN).trading(INDEX)
    if name.endswith("=X"):
        pair = {name[:-2][at : at + 3] for at in range(0, len(name) - 2, 3)}
        return (WORLD_WEEK if pair <= _CURRENCIES else UNKNOWN).trading(SHARE)
    if name.endswith("=F"):
        return (UNKNOWN if name[:-2] in _COIN_FUTURES else WORLD_WEEK).trading(SHARE)
    if name.startswith("0P") or _US_FUND.fullmatch(name):
        return UNITED_STATES.trading(FUND)
    exchange = UNITED_STATES if _US_SHARE.fullmatch(name) else COINS if _COIN.fullmatch(name) else UNKNOWN
    return exchange.trading(SHARE)
