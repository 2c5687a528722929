"""DynamoDB: the table of calendars, in which the producer writes who trades when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from bars.sessions import SYMBOLS, WATCHED, Sessions, SymbolCalendar, YearItem, sessions_of_days
from operations.aws import translated_errors


class CalendarTable:
    """The calendars of symbols, and the sessions of calendars. What was read is kept."""

    def __init__(self, client: Any, name: str) -> None:
        self._client, self._name = client, name
        self._years: dict[tuple[str, str, str], list[YearItem]] = {}

    def symbols(self) -> dict[str, SymbolCalendar]:
        """The calendar of each symbol that was ever watched, in alphabetical order."""
        return {
            item["name"]: SymbolCalendar(item["calendar"], item["timezone"])
            for item in self._items("#id = :id", {":id": SYMBOLS})
        }

    def watched(self) -> dict[str, SymbolCalendar]:
        """The calendar of each symbol that is watched now, in alphabetical order.

        It is that of each symbol that was ever watched, if the producer has not written which ones it watches.
        """
        known = self.symbols()
        parts = list(self._items("#id = :id", {":id": WATCHED}))
        if not parts:
            return known
        # A longer list of earlier may have left items at the end.
        lists = (msgspec.json.decode(part["symbols"], type=list[str]) for part in parts[: int(parts[0]["items"])])
        names = {name for each in lists for name in each}
        return {name: calendar for name, calendar in known.items() if name in names}

    def sessions_of(self, calendar: SymbolCalendar, start: datetime, end: datetime) -> Sessions:
        """All sessions of the days that have one in a range of time."""
        return sessions_of_days(calendar, start, end, self._read_years)

    def _read_years(self, calendar: str, first: str, last: str) -> list[YearItem]:
        key = calendar, first, last
        if key not in self._years:
            condition = "#id = :id AND #name BETWEEN :first AND :last"
            self._years[key] = list(self._items(condition, {":id": calendar, ":first": first, ":last": last}))
        return self._years[key]

    def _items(self, condition: str, values: Mapping[str, str]) -> Iterator[dict[str, str]]:
        names = {"#id": "id", "#name": "name"} if "#name" in condition else {"#id": "id"}
        with translated_errors(f"table {self._name}"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._name,
                KeyConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={name: {"S": value} for name, value in values.items()},
            )
            for page in pages:
                for item in page["Items"]:
                    yield {name: value["S"] for name, value in item.items() if "S" in value}
