"""The catalogs: Glue on AWS and MiniStack, or a SQLite file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.catalog.sql import SqlCatalog
from sqlalchemy.exc import SQLAlchemyError

from compaction.errors import Unavailable
from compaction.iceberg import Tables
from compaction.layout import FOLDER, NAMESPACE

SQLITE = "sqlite:///"
GLUE = "glue"
_IO = {"py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO"}


def sqlite_tables(uri: str, root: str, files: dict[str, str] | None = None) -> Tables:
    """The tables that a SQLite file, `sqlite:///path`, lists. `files` are PyIceberg's settings for S3.

    The file is made if it does not exist. Raises `Unavailable` if it cannot be opened.
    """
    try:
        Path(uri.removeprefix(SQLITE)).absolute().parent.mkdir(parents=True, exist_ok=True)
        catalog = SqlCatalog(NAMESPACE, uri=uri, warehouse=f"{root}/{FOLDER}", **_IO, **(files or {}))
    except (OSError, SQLAlchemyError) as error:
        reason = getattr(error, "orig", None) or error  # without the statement
        raise Unavailable(f"the catalog {uri} cannot be opened: {reason}") from error
    return Tables(catalog, NAMESPACE, root, makes_namespace=True, errors=(SQLAlchemyError,))


def glue_tables(client: Any, database: str, root: str, files: dict[str, str]) -> Tables:
    """The tables in a database of Glue, by a client of boto3."""
    catalog: Catalog = GlueCatalog(GLUE, client=client, **_IO, **files)
    return Tables(catalog, database, root, makes_namespace=False, errors=(ClientError, BotoCoreError))
