"""The markets that the local Yahoo knows: names, currencies, delays and trading hours."""

from __future__ import annotations

from datetime import time

import msgspec

EVERY_DAY = 7
WEEKDAYS = 5


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange, as Yahoo describes it. Hours are local. Only New York has holidays and half days."""

    code: str
    name: str
    region: str
    """Yahoo's `market` field, such as `us_market`."""
    timezone: str
    currency: str
    opens: time = time(0)
    closes: time | None = None
    """None is the end of the day."""
    pre_opens: time | None = None
    """The start of trading before the session. None if there is none."""
    post_closes: time | None = None
    """The end of trading after the session. None if there is none."""
    days: int = WEEKDAYS
    delay_minutes: int = 0
    keeps_holidays: bool = False
    """Whether it has the holidays and half days of New York's stock exchanges."""

    @property
    def has_extended_hours(self) -> bool:
        """Whether there are prices before and after the session."""
        return self.pre_opens is not None and self.post_closes is not None


_DELAY_MINUTES = {
    "AMS": 15,
    "ASX": 20,
    "GER": 15,
    "HKG": 15,
    "KSC": 20,
    "LSE": 15,
    "MIL": 15,
    "PAR": 15,
    "EBS": 15,
    "JPX": 20,
    "TOR": 15,
    "WCB": 15,
}
"""The delay of each exchange whose prices are not in real time, by its code."""


def _american(code: str, name: str) -> Market:
    return Market(
        code=code,
        name=name,
        region="us_market",
        timezone="America/New_York",
        currency="USD",
        opens=time(9, 30),
        closes=time(16),
        pre_opens=time(4),
        post_closes=time(20),
        keeps_holidays=True,
    )


def _foreign(name: str, country: str, timezone: str, currency: str, hours: tuple[time, time]) -> Market:
    opens, closes = hours
    code, _, full_name = name.partition(" ")
    return Market(
        code=code,
        name=full_name or code,
        region=f"{country}_market",
        timezone=timezone,
        currency=currency,
        opens=opens,
        closes=closes,
        delay_minutes=_DELAY_MINUTES.get(code, 0),
        keeps_holidays=timezone == "America/New_York",
    )


NASDAQ = _american("NMS", "NasdaqGS")
NYSE = _american("NYQ", "NYSE")
ARCA = _american("PCX", "NYSEArca")

BY_SUFFIX = {
    "AE": _foreign("DFM Dubai", "ae", "Asia/Dubai", "AED", (time(10), time(15))),
    "AS": _foreign("AMS Amsterdam", "nl", "Europe/Amsterdam", "EUR", (time(9), time(17, 30))),
    "AX": _foreign("ASX", "au", "Australia/Sydney", "AUD", (time(10), time(16))),
    "CO": _foreign("CPH Copenhagen", "dk", "Europe/Copenhagen", "DKK", (time(9), time(17))),
    "DE": _foreign("GER XETRA", "de", "Europe/Berlin", "EUR", (time(9), time(17, 30))),
    "HK": _foreign("HKG HKSE", "hk", "Asia/Hong_Kong", "HKD", (time(9, 30), time(16))),
    "KS": _foreign("KSC KSE", "kr", "Asia/Seoul", "KRW", (time(9), time(15, 30))),
    "L": _foreign("LSE", "gb", "Europe/London", "GBp", (time(8), time(16, 30))),
    "MI": _foreign("MIL Milan", "it", "Europe/Rome", "EUR", (time(9), time(17, 30))),
    "OL": _foreign("OSL Oslo", "no", "Europe/Oslo", "NOK", (time(9), time(16, 20))),
    "PA": _foreign("PAR Paris", "fr", "Europe/Paris", "EUR", (time(9), time(17, 30))),
    "SW": _foreign("EBS Swiss", "ch", "Europe/Zurich", "CHF", (time(9), time(17, 30))),
    "T": _foreign("JPX Tokyo", "jp", "Asia/Tokyo", "JPY", (time(9), time(15, 30))),
    "TO": _foreign("TOR Toronto", "ca", "America/Toronto", "CAD", (time(9, 30), time(16))),
}
"""The markets by the suffix of their symbols."""

INDEXES = _foreign("SNP", "us", "America/New_York", "USD", (time(9, 30), time(16)))
OPTIONS_INDEXES = _foreign("WCB Chicago Options", "us", "America/New_York", "USD", (time(9, 30), time(16)))
CURRENCIES = Market(
    code="CCY", name="CCY", region="ccy_market", timezone="Europe/London", currency="USD", closes=time(23, 59)
)
FUTURES = Market(
    code="CMX",
    name="COMEX",
    region="us24_market",
    timezone="America/New_York",
    currency="USD",
    closes=time(23, 59),
    delay_minutes=10,
)
COINS = Market(code="CCC", name="CCC", region="ccc_market", timezone="UTC", currency="USD", days=EVERY_DAY)
