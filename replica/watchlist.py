"""The watchlist of a demo: an object in the emulated bucket, as on AWS, so that symbols can change while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from configuration import WATCHLIST_KEY, ConfigurationObject
from producer_service.settings import PREFIX
from producer_service.sources import replay
from watchlist import SYNTHETIC_SYMBOLS, written

_LOOK_SECONDS = "2"
"""How often the producer looks for a change. The emulator costs nothing, and a person watches."""


def with_watchlist(of_producer: Mapping[str, str], s3: Any, bucket: str) -> dict[str, str]:
    """The producer's environment, with its symbols in the bucket.

    A watchlist that the user names stays where it is, and a recording is played with the symbols that it has.
    """
    settings = dict(of_producer)
    if settings.get(PREFIX + "WATCHLIST") or settings[PREFIX + "SOURCE"] == replay.DEFINITION.name:
        return settings
    symbols = [name.strip() for name in settings.pop(PREFIX + "SYMBOLS", "").split(",") if name.strip()]
    target = ConfigurationObject(s3, bucket, WATCHLIST_KEY)
    target.write(written(list(dict.fromkeys(symbols)) or SYNTHETIC_SYMBOLS), target.read())
    return {PREFIX + "WATCHLIST_SECONDS": _LOOK_SECONDS, **settings, PREFIX + "WATCHLIST": target.address}
