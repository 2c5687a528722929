"""Where the archive and the compacted tables are, by the options of `compact` and `export`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from botocore.exceptions import BotoCoreError, ClientError

from operations.archive_bucket import BucketArchive
from operations.aws import client
from operations.backfill_stores import BackfillBars
from operations.calendar_table import CalendarTable
from operations.command_line import outputs_of, say
from operations.demo_stage import is_of_a_demo
from operations.errors import OperationsError, Unavailable, WrongUsage
from operations.outputs import required
from operations.stored_history import StoredHistory
from workspace import demo_record
from workspace.places import STATE

if TYPE_CHECKING:
    from compaction.iceberg import Tables
    from compaction.ports import Archive, History

_S3 = "s3://"
_SQLITE = "sqlite:///"
_GLUE = "glue"
_ENDPOINT = "s3.endpoint"
"""The setting of PyIceberg that an emulator needs."""
_LIBRARIES = {"pyarrow", "pyiceberg", "duckdb", "sqlalchemy"}

ArchiveOption = Annotated[
    str | None,
    typer.Option(
        "--archive",
        metavar="s3://BUCKET|DIR",
        help="The archive: a bucket, or a directory with raw-data/. By default, the bucket of the stage.",
    ),
]
CatalogOption = Annotated[
    str | None,
    typer.Option(
        "--catalog",
        metavar="glue|sqlite:///FILE",
        help="What lists the compacted tables: Glue, or a SQLite file. By default, Glue for a bucket, "
        "compacted/catalog.db for a directory, and a file of this machine for a bucket of a demo or another emulator.",
    ),
]
DatabaseOption = Annotated[
    str | None, typer.Option("--database", help="The database of Glue. By default, that of the stage.")
]

BarsTableOption = Annotated[
    str | None,
    typer.Option(
        "--bars-table", metavar="NAME", help="The table of bars, with --archive. Without it, bars are left out."
    ),
]
CalendarsTableOption = Annotated[
    str | None,
    typer.Option("--calendars-table", metavar="NAME", help="The table of calendars, which --bars-table needs too."),
]


class HistoryPlace(NamedTuple):
    """Where the history of a stage is."""

    archive: Archive
    tables: Tables
    history: History | None
    """The table of bars. None if the options do not name it."""
    database: str
    """The database of Glue."""


def history_place(  # noqa: PLR0917  (the options)
    archive: str | None,
    catalog: str | None,
    database: str | None,
    bars_table: str | None,
    calendars_table: str | None,
    prefix: str,
    stage: str,
    outputs_file: Path | None,
    *,
    whole_from: date = date.min,
    changes: bool = True,
) -> HistoryPlace:
    """What the options name. Without `archive`, it is all of the stage. Raises `WrongUsage`.

    `whole_from` is the first day of which no minute has expired. Without `changes`, no catalog is made.
    """
    if archive is None:
        names = outputs_of(prefix, stage, outputs_file)
        archive = f"{_S3}{required(names, 'ArchiveBucket')}"
        bars_table, calendars_table = required(names, "BarsTable"), required(names, "CalendarsTable")
    if (bars_table is None) != (calendars_table is None):
        raise WrongUsage("--bars-table and --calendars-table belong together: set both or neither")
    place = _archive_at(archive)
    name = database or f"{prefix}_{stage}_analytics".replace("-", "_")
    tables = _tables_at(place, catalog, name, stage, changes=changes)
    if bars_table is None or calendars_table is None:
        return HistoryPlace(place, tables, None, name)
    dynamodb = client("dynamodb")
    bars, calendars = BackfillBars(dynamodb, bars_table), CalendarTable(dynamodb, calendars_table)
    return HistoryPlace(place, tables, StoredHistory(place, bars, calendars, whole_from), name)


def _archive_at(place: str) -> Archive:
    if place.startswith(_S3):
        bucket = place.removeprefix(_S3).rstrip("/")
        if not bucket or "/" in bucket:
            raise WrongUsage(f"--archive {place} is not a bucket like s3://my-archive")
        return BucketArchive(client("s3", max_pool_connections=16), bucket)
    from compaction.directory import DirectoryArchive  # noqa: PLC0415

    if not any((Path(place) / folder).is_dir() for folder in ("raw-data", "compacted")):
        raise WrongUsage(
            f"--archive {place} has no folder raw-data: name a directory that has one, or a bucket like s3://my-archive"
        )
    return DirectoryArchive(Path(place))


def check_catalog(catalog: str) -> None:
    """Raise `WrongUsage` if the text names no catalog."""
    if catalog != _GLUE and (catalog == _SQLITE or not catalog.startswith(_SQLITE)):
        raise WrongUsage(f"--catalog {catalog} is neither glue nor like sqlite:///path/of/catalog.db")


def _tables_at(archive: Archive, catalog: str | None, database: str, stage: str, *, changes: bool) -> Tables:
    from compaction.catalogs import glue_tables, sqlite_tables  # noqa: PLC0415

    is_bucket = archive.root.startswith(_S3)
    files = _s3_settings() if is_bucket else {}
    if catalog is None:
        catalog = _default_catalog(archive, database, stage, is_emulated=_ENDPOINT in files)
        say(f"the catalog of the tables: {f'Glue, database {database}' if catalog == _GLUE else catalog}")
    check_catalog(catalog)
    if catalog == _GLUE:
        if not is_bucket:
            raise WrongUsage("--catalog glue needs an archive in S3: leave the option out for a directory")
        return glue_tables(client("glue"), database, archive.root, files)
    return sqlite_tables(catalog, archive.root, files, is_made=changes)


def _default_catalog(archive: Archive, database: str, stage: str, *, is_emulated: bool) -> str:
    """Glue for a bucket of AWS, and of an emulator that has the database. Otherwise a SQLite file."""
    if not archive.root.startswith(_S3):
        return f"{_SQLITE}{archive.root}/compacted/catalog.db"
    if not is_emulated or _has_database(database):
        return _GLUE
    # What is beside the record of a demo is removed when the demo ends, and its bucket ends with it.
    file = (
        demo_record.DIRECTORY / f"{stage}.catalog.db"
        if is_of_a_demo(stage)
        else STATE / "catalogs" / f"{archive.root.removeprefix(_S3)}.db"
    )
    return f"{_SQLITE}{file}"


def _has_database(name: str) -> bool:
    """Whether an emulator has Glue, and this database in it."""
    try:
        client("glue").get_database(Name=name)
    except (BotoCoreError, ClientError):
        return False
    return True


@contextmanager
def history_errors() -> Iterator[None]:
    """Raise the errors of `compaction` as those of the commands, and say what to install if a library is missing."""
    from compaction.errors import CompactionError  # noqa: PLC0415

    try:
        yield
    except CompactionError as error:
        raise Unavailable(str(error)) from error
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _LIBRARIES:
            raise
        raise OperationsError(
            f"{error.name} is not installed here, because it is large: run `make history` in a checkout, install "
            "stockstream[history] in place of the wheel stockstream, or use the image stockstream-operations"
        ) from error


def _s3_settings() -> dict[str, str]:
    """How PyIceberg reaches S3. pyarrow finds the credentials by itself, as the SDK of AWS for C++ does."""
    s3: Any = client("s3")
    settings = {"s3.region": s3.meta.region_name}
    endpoint = s3.meta.endpoint_url
    return settings if ".amazonaws.com" in endpoint else {**settings, _ENDPOINT: endpoint}
