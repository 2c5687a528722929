"""What the simulated market makes of a symbol, by its Yahoo name: about its price, its volume, its exchange. Pure.

The prices are about those of early 2025, so that they look right. They are no market data.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import msgspec


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """A simulated instrument."""

    price: float
    """About which its prices move."""
    places: int
    """The decimal places of a price. The tick is one of the last place."""
    daily_volume: int
    """About how much trades in a session. 0 for currencies, whose volume nobody counts."""
    currency: str
    exchange: str
    """Yahoo's code of the exchange."""
    liveliness: float = 1.0
    """How much the price moves, compared with a share."""


_NASDAQ = {
    "AAPL": (230.0, 50_000_000), "AMD": (140.0, 40_000_000), "AMZN": (220.0, 40_000_000), "AVGO": (220.0, 25_000_000),
    "COST": (950.0, 2_000_000), "CSCO": (62.0, 18_000_000), "GOOG": (185.0, 20_000_000), "GOOGL": (184.0, 28_000_000),
    "INTC": (22.0, 70_000_000), "META": (640.0, 14_000_000), "MSFT": (430.0, 20_000_000), "NFLX": (950.0, 4_000_000),
    "NVDA": (138.0, 220_000_000), "QQQ": (525.0, 35_000_000), "TSLA": (340.0, 90_000_000),
}  # fmt: skip
_NEW_YORK = {
    "BAC": (46.0, 35_000_000), "BRK-B": (470.0, 4_000_000), "DIS": (110.0, 9_000_000), "JNJ": (152.0, 8_000_000),
    "JPM": (260.0, 9_000_000), "KO": (64.0, 16_000_000), "MA": (530.0, 2_500_000), "ORCL": (170.0, 10_000_000),
    "PFE": (26.0, 40_000_000), "V": (330.0, 6_000_000), "WMT": (96.0, 16_000_000), "XOM": (110.0, 15_000_000),
}  # fmt: skip
_ARCA = {"SPY": (595.0, 55_000_000), "VTI": (295.0, 3_500_000), "GLD": (250.0, 8_000_000)}

_INDICES = {
    "^GSPC": (6_000.0, 4_000_000_000, "USD", "SNP"), "^DJI": (43_500.0, 500_000_000, "USD", "DJI"),
    "^IXIC": (19_500.0, 7_000_000_000, "USD", "NIM"), "^NDX": (21_500.0, 7_000_000_000, "USD", "NIM"),
    "^RUT": (2_250.0, 4_000_000_000, "USD", "WCB"), "^VIX": (17.0, 0, "USD", "CXI"), "^TNX": (4.5, 0, "USD", "CGI"),
    "^FTSE": (8_400.0, 800_000_000, "GBP", "FGI"), "^GDAXI": (20_500.0, 60_000_000, "EUR", "GER"),
    "^FCHI": (7_600.0, 70_000_000, "EUR", "PAR"), "^STOXX50E": (5_000.0, 30_000_000, "EUR", "ZRH"),
    "^N225": (39_000.0, 120_000_000, "JPY", "OSA"), "^HSI": (20_000.0, 3_000_000_000, "HKD", "HKG"),
}  # fmt: skip
_FOREIGN = {
    "VOD.L": (72.0, 60_000_000), "HSBA.L": (790.0, 20_000_000), "BP.L": (420.0, 35_000_000),
    "SAP.DE": (245.0, 1_500_000), "SIE.DE": (195.0, 1_000_000), "MC.PA": (640.0, 400_000), "ASML.AS": (710.0, 700_000),
    "NESN.SW": (77.0, 5_000_000),
    "7203.T": (2_800.0, 25_000_000), "6758.T": (3_300.0, 12_000_000), "0700.HK": (410.0, 18_000_000),
    "RELIANCE.NS": (1_250.0, 10_000_000), "SHOP.TO": (155.0, 2_000_000),
}  # fmt: skip
_FUTURES = {
    "GC": (2_700.0, 180_000), "SI": (31.0, 60_000), "CL": (74.0, 300_000), "NG": (3.6, 150_000), "HG": (4.2, 60_000),
    "ES": (6_020.0, 1_500_000), "NQ": (21_600.0, 600_000), "YM": (43_600.0, 120_000), "ZC": (460.0, 200_000),
}  # fmt: skip
_COINS = {
    "BTC": (90_000.0, 35_000_000_000), "ETH": (3_100.0, 20_000_000_000), "SOL": (190.0, 4_000_000_000),
    "BNB": (640.0, 2_000_000_000), "XRP": (2.3, 6_000_000_000), "ADA": (0.9, 1_000_000_000),
    "DOGE": (0.33, 3_000_000_000), "LTC": (105.0, 800_000_000), "DOT": (6.5, 300_000_000), "LINK": (21.0, 900_000_000),
}  # fmt: skip
_DOLLARS = {
    "USD": 1.0, "EUR": 1.08, "GBP": 1.27, "CHF": 1.12, "AUD": 0.65, "NZD": 0.59, "CAD": 0.71, "JPY": 1 / 150,
    "CNY": 0.138, "CNH": 0.138, "HKD": 0.128, "SGD": 0.74, "INR": 0.0117, "KRW": 1 / 1_430, "SEK": 0.092, "NOK": 0.09,
    "DKK": 0.145, "PLN": 0.25, "CZK": 0.043, "HUF": 1 / 380, "MXN": 0.049, "BRL": 0.17, "ZAR": 0.054, "TRY": 0.028,
}  # fmt: skip
"""The price of a unit of each currency in dollars."""

_MARKETS: Mapping[str, tuple[str, str, float, int]] = {
    "L": ("GBp", "LSE", 800, 2), "DE": ("EUR", "GER", 80, 2), "F": ("EUR", "FRA", 80, 2), "PA": ("EUR", "PAR", 80, 2),
    "AS": ("EUR", "AMS", 60, 2), "BR": ("EUR", "BRU", 50, 2), "MI": ("EUR", "MIL", 20, 2), "MC": ("EUR", "MCE", 20, 2),
    "LS": ("EUR", "LIS", 10, 2), "IR": ("EUR", "ISE", 15, 2), "VI": ("EUR", "VIE", 50, 2), "HE": ("EUR", "HEL", 25, 2),
    "SW": ("CHF", "EBS", 100, 2), "ST": ("SEK", "STO", 200, 2), "OL": ("NOK", "OSL", 200, 2),
    "CO": ("DKK", "CPH", 500, 2), "WA": ("PLN", "WSE", 80, 2), "TO": ("CAD", "TOR", 60, 2), "V": ("CAD", "VAN", 2, 2),
    "MX": ("MXN", "MEX", 100, 2), "SA": ("BRL", "SAO", 30, 2), "T": ("JPY", "JPX", 2_500, 0),
    "HK": ("HKD", "HKG", 50, 2), "SS": ("CNY", "SHH", 30, 2), "SZ": ("CNY", "SHZ", 30, 2),
    "KS": ("KRW", "KSC", 60_000, 0), "KQ": ("KRW", "KOE", 30_000, 0), "TW": ("TWD", "TAI", 100, 2),
    "SI": ("SGD", "SES", 5, 2), "AX": ("AUD", "ASX", 30, 2), "NZ": ("NZD", "NZE", 6, 2), "NS": ("INR", "NSI", 1_000, 2),
    "BO": ("INR", "BSE", 1_000, 2), "JO": ("ZAc", "JNB", 15_000, 0), "TA": ("ILA", "TLV", 3_000, 0),
}  # fmt: skip
"""The currency, Yahoo's code, the usual price of a share and its decimal places, by the suffix of the exchange."""

_USUAL_SHARE = 80.0


def instrument_of(symbol: str) -> Instrument:
    """The instrument of a symbol, whatever its letter case. Any symbol has one, the same each time."""
    name = symbol.upper()
    if name.startswith("^"):
        return _index(name)
    if name.endswith("=X"):
        return _pair(name.removesuffix("=X"))
    if name.endswith("=F"):
        price, volume = _FUTURES.get(name[:-2], (_around(300.0, name), 50_000))
        return Instrument(
            price=price, places=2, daily_volume=volume, currency="USD", exchange="NYM", liveliness=_FUTURE
        )
    stem, dash, currency = name.rpartition("-")
    if dash and currency in _DOLLARS:
        return _coin(stem, currency)
    stem, dot, suffix = name.rpartition(".")
    return _foreign(name, suffix) if dot else _american(name)


_INDEX, _PAIR, _FUTURE = 0.4, 0.15, 0.6
"""The liveliness of kinds that move less than a share."""


def _american(name: str) -> Instrument:
    for exchange, known in (("NMS", _NASDAQ), ("NYQ", _NEW_YORK), ("PCX", _ARCA)):
        if name in known:
            price, volume = known[name]
            return Instrument(price=price, places=2, daily_volume=volume, currency="USD", exchange=exchange)
    return Instrument(
        price=_around(_USUAL_SHARE, name), places=2, daily_volume=_volume(name), currency="USD", exchange="NYQ"
    )


def _foreign(name: str, suffix: str) -> Instrument:
    currency, exchange, usual, places = _MARKETS.get(suffix, ("USD", suffix or "PNK", _USUAL_SHARE, 2))
    price, volume = _FOREIGN.get(name, (_around(usual, name), _volume(name)))
    return Instrument(price=price, places=places, daily_volume=volume, currency=currency, exchange=exchange)


def _index(name: str) -> Instrument:
    price, volume, currency, exchange = _INDICES.get(name, (_around(4_000.0, name), 0, "USD", "WCB"))
    return Instrument(
        price=price, places=2, daily_volume=volume, currency=currency, exchange=exchange, liveliness=_INDEX
    )


def _pair(pair: str) -> Instrument:
    base, quoted = (pair[:3], pair[3:]) if len(pair) > len("USD") else ("USD", pair)
    price = _DOLLARS.get(base, 1.0) / _DOLLARS.get(quoted, 1.0)
    return Instrument(
        price=price,
        places=4 if price < 50 else 2,  # noqa: PLR2004  (pairs with the yen have two, and those with the peso four)
        daily_volume=0,
        currency=quoted if quoted in _DOLLARS else "USD",
        exchange="CCY",
        liveliness=_PAIR,
    )


def _coin(coin: str, currency: str) -> Instrument:
    price, volume = _COINS.get(coin, (_around(5.0, coin), 50_000_000))
    price /= _DOLLARS[currency]
    places = 2 if price >= 10 else 4  # noqa: PLR2004
    return Instrument(price=price, places=places, daily_volume=volume, currency=currency, exchange="CCC")


def _around(usual: float, name: str) -> float:
    """A price from a third to three times the usual one, which depends on the name alone."""
    return float(usual * 3 ** (_number(name) % 2_001 / 1_000 - 1))


def _volume(name: str) -> int:
    return 200_000 * (1 + _number(f"{name} volume") % 50)


def _number(text: str) -> int:
    """A number derived from a text. It is the same in every process."""
    return zlib.crc32(text.encode())
