"""The views of Athena in Glue, which `compact` writes after each commit."""

from __future__ import annotations

from datetime import date
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from analytics.views import views_for
from compaction.errors import Unavailable


class GlueViews:
    """It implements `compaction.ports.Views` with a client of boto3 for Glue."""

    def __init__(self, client: Any, database: str) -> None:
        self._client, self._database = client, database

    def replace(self, compacted_to: date) -> None:
        """See `compaction.ports.Views`."""
        for view in views_for(compacted_to):
            table = view.table_input(self._database)
            try:
                self._put(table)
            except (ClientError, BotoCoreError) as error:
                raise Unavailable(f"the view {view.name} of the database {self._database}: {error}") from error

    def _put(self, table: dict[str, Any]) -> None:
        try:
            self._client.update_table(DatabaseName=self._database, TableInput=table, SkipArchive=True)
        except ClientError as error:
            if error.response["Error"]["Code"] != "EntityNotFoundException":
                raise
            self._client.create_table(DatabaseName=self._database, TableInput=table)
