"""What the demo learns from the producer's /status: which groups there are, and why they have no new prices."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

import msgspec

from producer_service.silence import Silence
from producer_service.sources.definition import SourceDefinition

TIMEOUT_SECONDS = 2.0


class Group(msgspec.Struct, frozen=True):
    """A watch group of the producer."""

    name: str
    source: str
    symbols: int
    """How many symbols it has."""
    silences: tuple[Silence, ...] = ()
    """Why the group, or a part of it, has no new prices."""


class ProducerStatus(msgspec.Struct, frozen=True):
    """The part of /status that the demo shows. Without groups, nothing is known."""

    groups: tuple[Group, ...] = ()

    def notes(self) -> tuple[str, ...]:
        """The reasons in words, with the names of the groups if there are several."""
        return tuple(
            f"{group.name}: {silence.text}" if len(self.groups) > 1 else silence.text
            for group in self.groups
            for silence in group.silences
        )


def fetch(url: str) -> ProducerStatus | None:
    """The status of a producer whose pages begin with a URL. None if it does not answer."""
    # Not by `urllib`, which would ask a proxy that the environment names.
    connection = HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT_SECONDS)
    with closing(connection), suppress(OSError, HTTPException, msgspec.MsgspecError):
        connection.request("GET", "/status")
        return msgspec.json.decode(connection.getresponse().read(), type=ProducerStatus)
    return None


def prices_in_words(
    status: ProducerStatus, source: str, delay_minutes: int, definitions: Mapping[str, SourceDefinition[Any]]
) -> str:
    """What kind of prices the groups have, such as `simulated prices`. `source` is the one until groups are known."""
    names = dict.fromkeys(group.source for group in status.groups) or {source: None}
    kinds = dict.fromkeys(definitions[name].prices if name in definitions else "prices" for name in names)
    delay = f", up to {delay_minutes} minutes late" if delay_minutes else ""
    return " and ".join(kinds) + delay
