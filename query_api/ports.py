"""What the endpoints read, as protocols. `tables` and `queue` implement them on AWS.

All calls raise `aws_requests.Unavailable` if AWS does not answer in time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

if TYPE_CHECKING:
    from query_api.calendars import SymbolCalendars
    from query_api.lanes import Lanes
    from query_api.settings import Settings


class Attribute(msgspec.Struct, frozen=True, gc=False):
    """An attribute in DynamoDB's JSON: a text, a number as its text, a map, or a list."""

    S: str | None = None
    N: str | None = None
    M: dict[str, Attribute] | None = None
    L: list[Attribute] | None = None


Item = dict[str, Attribute]
"""An item of a table."""


class Page(NamedTuple):
    """Items of one partition, in the order that was asked for."""

    items: list[Item]
    is_last: bool
    """Whether there are no more items in the range. Otherwise there may be more after the last one here."""


class Table(Protocol):
    """A table with a partition key and a range key, both texts."""

    def read(
        self,
        partition: str,
        first: str,
        last: str,
        *,
        newest_first: bool,
        limit: int,
        after: str | None = None,
        only: Collection[str] = (),
    ) -> Page:
        """Up to `limit` items of a partition whose range keys are from `first` to `last`, both inclusive.

        `after` is the range key of the item before the first one, from an earlier page. Items have all attributes, or
        `only` some. The range key has to be among these.
        """


class StateTable(Protocol):
    """The table of the lanes' states."""

    def read(self, lanes: Collection[str]) -> dict[str, bytes]:
        """The packed states of lanes, by partition key. A lane that was never committed is missing."""


class Depth(NamedTuple):
    """How many messages are in a queue, about."""

    messages: int
    in_flight: int
    """Those that a consumer has received and not deleted yet."""


class Queue(Protocol):
    """The quarantine queue."""

    def depth(self) -> Depth:
        """How many messages it holds."""


class Stores(NamedTuple):
    """Everything that an endpoint may read."""

    settings: Settings
    lanes: Lanes
    calendars: SymbolCalendars
    quotes: Table
    """Partition `symbol`, range `timestamp`."""
    bars: Table
    """Partition `symbol`, range `key`: see `bars.keys`."""
    alerts: Table
    """Partition `day`, range `key`."""
    sessions: Table
    """The table of calendars: partition `id`, range `name`."""
    quarantine: Queue


def texts(item: Mapping[str, Attribute]) -> dict[str, str]:
    """The texts of an item, by name."""
    return {name: value.S for name, value in item.items() if value.S is not None}
