"""A column of a table or view. Pure."""

from __future__ import annotations

import msgspec


class Column(msgspec.Struct, frozen=True):
    """A column, with its type as Glue writes it: `string`, `bigint`, `decimal(38,26)`."""

    name: str
    type: str
    comment: str = ""
