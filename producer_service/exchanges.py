"""Which calendars a symbol trades by, as its Yahoo name shows. Pure.

The calendars are those of exchange_calendars. Yahoo documents its suffixes: https://help.yahoo.com/kb/SLN2310.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable

AUTO = "auto"
"""Stands for the calendars that are implied by the names of the symbols."""

ALWAYS = "always"
"""The calendar of symbols that never stop trading, and of unknown symbols: a poll too many loses nothing."""

HOME = "XNYS"
"""The calendar of symbols without a suffix. They trade in the United States, whose exchanges share their hours."""

CURRENCIES = ("24/5", "us_futures")
"""The calendars of currencies. Both are needed.

Yahoo's currency week begins on Monday in London, which in summer is an hour before Monday in UTC, where `24/5` begins.
The week of futures begins on Sunday evening in New York and covers that hour, but futures have holidays on which
currencies trade.
"""

FUTURES = ("CMES",)

_CRYPTO = re.compile(r"[A-Z0-9]+-(?:USD|EUR|GBP|JPY|CAD|AUD|CHF|CNY|INR|KRW|HKD|SGD|BRL|RUB|TRY|BTC|ETH|USDT|USDC)")

_SUFFIXES = {
    "L": "XLON", "IL": "XLON", "XC": "XLON", "IR": "XDUB",
    "DE": "XETR", "F": "XFRA", "SG": "XSTU", "DU": "XDUS", "HM": "XHAM",
    "PA": "XPAR", "AS": "XAMS", "BR": "XBRU", "LS": "XLIS", "MI": "XMIL", "MC": "XMAD", "SW": "XSWX", "VI": "XWBO",
    "ST": "XSTO", "HE": "XHEL", "CO": "XCSE", "OL": "XOSL", "IC": "XICE", "TL": "XTAL", "RG": "XRIS", "VS": "XLIT",
    "WA": "XWAR", "PR": "XPRA", "BD": "XBUD", "IS": "XIST", "ME": "XMOS",
    "TA": "XTAE", "SR": "XSAU", "JO": "XJSE",
    "TO": "XTSE", "V": "XTSE", "NE": "XTSE", "CN": "XTSE", "MX": "XMEX", "SA": "BVMF", "BA": "XBUE", "SN": "XSGO",
    "CL": "XBOG",
    "T": "XTKS", "HK": "XHKG", "SS": "XSHG", "SZ": "XSHG", "TW": "XTAI", "TWO": "XTAI", "KS": "XKRX", "KQ": "XKRX",
    "SI": "XSES", "KL": "XKLS", "BK": "XBKK", "JK": "XIDX", "PS": "XPHS", "NS": "XBOM", "BO": "XBOM",
    "AX": "XASX", "XA": "XASX", "NZ": "XNZE",
    "CME": "CMES", "CBT": "CMES", "CMX": "CMES", "NYM": "CMES", "NYB": "IEPA",
}  # fmt: skip
# Athens (.AT) and Bucharest (.RO) are left out, because exchange_calendars cannot compute them with pandas 3.1.

_INDICES = {
    "^FTSE": "XLON", "^FTMC": "XLON", "^FTAS": "XLON", "^GDAXI": "XETR", "^MDAXI": "XETR", "^TECDAX": "XETR",
    "^STOXX": "XETR", "^STOXX50E": "XETR", "^FCHI": "XPAR", "^AEX": "XAMS", "^BFX": "XBRU", "^IBEX": "XMAD",
    "^SSMI": "XSWX", "^ATX": "XWBO", "^OMX": "XSTO", "^OMXH25": "XHEL", "^OMXC25": "XCSE",
    "^N225": "XTKS", "^HSI": "XHKG", "^HSCE": "XHKG", "^TWII": "XTAI", "^KS11": "XKRX", "^KS200": "XKRX",
    "^KQ11": "XKRX", "^STI": "XSES", "^KLSE": "XKLS", "^JKSE": "XIDX", "^BSESN": "XBOM", "^NSEI": "XBOM",
    "^NSEBANK": "XBOM", "^AXJO": "XASX", "^AORD": "XASX", "^NZ50": "XNZE",
    "^GSPTSE": "XTSE", "^MXX": "XMEX", "^BVSP": "BVMF", "^MERV": "XBUE",
}  # fmt: skip


def calendars_of_symbol(symbol: str) -> tuple[str, ...]:
    """The calendars of one symbol. It may trade while any of them is open."""
    name = symbol.upper()
    if name.endswith("=X"):
        return CURRENCIES
    if name.endswith("=F"):
        return FUTURES
    if name.startswith("^"):
        return (_INDICES.get(name, HOME),)
    if _CRYPTO.fullmatch(name):
        return (ALWAYS,)
    _, dot, suffix = name.rpartition(".")
    return (_SUFFIXES.get(suffix, ALWAYS),) if dot else (HOME,)


def calendars_of(symbols: Iterable[str]) -> tuple[str, ...]:
    """The calendars of some symbols together, sorted. If `always` is among them, the others do not matter."""
    names = {name for symbol in symbols for name in calendars_of_symbol(symbol)}
    return (ALWAYS,) if ALWAYS in names else tuple(sorted(names))


NAMES = frozenset({HOME, *CURRENCIES, *FUTURES, *_SUFFIXES.values(), *_INDICES.values()})
"""Every calendar that a name can imply, except `always`."""
