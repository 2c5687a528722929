"""Runs SQL in the stage's workgroup of Athena."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from smoke.checks import SavedQuery
from smoke.deadline import Deadline
from smoke.errors import QueryFailed
from smoke.verdicts import Failed, Passed, Verdict

_UNFINISHED = ("QUEUED", "RUNNING")


@dataclass(frozen=True)
class Athena:
    """The database of the stage."""

    client: Any
    workgroup: str
    database: str

    def engine(self, deadline: Deadline) -> str:
        """What the engine calls the type of 1. Trino says `integer`."""
        return self.value("SELECT typeof(1)", deadline)

    def value(self, sql: str, deadline: Deadline) -> str:
        """The one value that a query returns. Raises `QueryFailed`."""
        query = self._run(sql, deadline)
        page = self.client.get_query_results(QueryExecutionId=query["QueryExecutionId"])
        value: str = page["ResultSet"]["Rows"][1]["Data"][0]["VarCharValue"]  # the first row has the names
        return value

    def saved(self, deadline: Deadline) -> Iterator[SavedQuery]:
        """Run each saved query of the workgroup."""
        for page in self.client.get_paginator("list_named_queries").paginate(WorkGroup=self.workgroup):
            for query_id in page["NamedQueryIds"]:
                named = self.client.get_named_query(NamedQueryId=query_id)["NamedQuery"]
                yield self._answer(named["Name"], named["QueryString"], deadline)

    def _answer(self, name: str, sql: str, deadline: Deadline) -> SavedQuery:
        try:
            query = self._run(sql, deadline)
        except QueryFailed as error:
            return SavedQuery(name=name, error=str(error), rows=0, scanned_bytes=0)
        pages = self.client.get_paginator("get_query_results").paginate(QueryExecutionId=query["QueryExecutionId"])
        rows = sum(len(page["ResultSet"]["Rows"]) for page in pages) - 1
        scanned = query.get("Statistics", {}).get("DataScannedInBytes", 0)
        return SavedQuery(name=name, error=None, rows=rows, scanned_bytes=scanned)

    def _run(self, sql: str, deadline: Deadline) -> dict[str, Any]:
        started = self.client.start_query_execution(
            QueryString=sql, WorkGroup=self.workgroup, QueryExecutionContext={"Database": self.database}
        )["QueryExecutionId"]
        query: dict[str, Any] = {}

        def look() -> Verdict:
            nonlocal query
            query = self.client.get_query_execution(QueryExecutionId=started)["QueryExecution"]
            state = query["Status"]["State"]
            return Failed("an answer", state) if state in _UNFINISHED else Passed(state)

        deadline.until(look)
        status = query["Status"]
        if status["State"] in _UNFINISHED:
            self.client.stop_query_execution(QueryExecutionId=started)
            raise QueryFailed(f"Athena did not answer in time: {sql}")
        if status["State"] != "SUCCEEDED":
            raise QueryFailed(f"{status['State']}: {status.get('StateChangeReason', 'no reason given')}")
        return query
