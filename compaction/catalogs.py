"""The catalogs: Glue on AWS and MiniStack, or a SQLite file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pyiceberg.catalog import METADATA_LOCATION, Catalog
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException
from sqlalchemy.exc import SQLAlchemyError

from analytics.compacted_tables import FOLDER
from compaction.errors import Unavailable
from compaction.iceberg import Tables

SQLITE = "sqlite:///"
NAMESPACE = "stockstream"
"""The namespace of a local catalog. On AWS, it is the Glue database of the stack `analytics`."""
GLUE = "glue"
_IO = {"py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO"}


def sqlite_tables(uri: str, root: str, files: dict[str, str] | None = None, *, is_made: bool = True) -> Tables:
    """The tables that a SQLite file, `sqlite:///path`, lists. `files` are PyIceberg's settings for S3.

    If the file does not exist, it is made, or without `is_made`, taken for one that lists no table. Raises
    `Unavailable` if it cannot be opened.
    """
    file = Path(uri.removeprefix(SQLITE)).absolute()
    try:
        if is_made:
            file.parent.mkdir(parents=True, exist_ok=True)
        elif not file.exists():
            uri = f"{SQLITE}:memory:"
        catalog = SqlCatalog(NAMESPACE, uri=uri, warehouse=f"{root}/{FOLDER}", **_IO, **(files or {}))
    except (OSError, SQLAlchemyError) as error:
        reason = getattr(error, "orig", None) or error  # without the statement
        raise Unavailable(f"the catalog {uri} cannot be opened: {reason}") from error
    return Tables(catalog, NAMESPACE, root, makes_namespace=True, errors=(SQLAlchemyError,))


def glue_tables(client: Any, database: str, root: str, files: dict[str, str]) -> Tables:
    """The tables in a database of Glue, by a client of boto3."""
    catalog: Catalog = _Glue(GLUE, client=client, **_IO, **files)
    return Tables(catalog, database, root, makes_namespace=False, errors=(ClientError, BotoCoreError))


class _Glue(GlueCatalog):
    """Glue, where a commit that has lost its answer is no conflict.

    The SDK repeats a call without an answer, and Glue refuses the repetition because the first one has changed the
    table. After a conflict, PyIceberg and this package delete their files, which would be those of the table.
    """

    def _update_glue_table(self, database_name: str, table_name: str, table_input: Any, version_id: str) -> None:
        try:
            super()._update_glue_table(database_name, table_name, table_input, version_id)
        except CommitFailedException:
            found = self._get_glue_table(database_name, table_name)
            if found["Parameters"][METADATA_LOCATION] != table_input["Parameters"][METADATA_LOCATION]:
                raise
