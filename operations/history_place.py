"""Where the archive and the compacted tables are, by the options of `compact` and `export`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from operations.archive_bucket import BucketArchive
from operations.aws import client
from operations.command_line import outputs_of
from operations.errors import OperationsError, Unavailable, WrongUsage
from operations.outputs import required

if TYPE_CHECKING:
    from compaction.iceberg import Tables
    from compaction.ports import Archive

_S3 = "s3://"
_SQLITE = "sqlite:///"
_GLUE = "glue"
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
        help="What lists the compacted tables: Glue, or a SQLite file. By default, Glue for a bucket, and "
        "compacted/catalog.db for a directory.",
    ),
]
DatabaseOption = Annotated[
    str | None, typer.Option("--database", help="The database of Glue. By default, that of the stage.")
]


def archive_at(place: str | None, prefix: str, stage: str, outputs_file: Path | None) -> Archive:
    """The archive that the options name. Raises `WrongUsage`."""
    if place is None:
        place = f"{_S3}{required(outputs_of(prefix, stage, outputs_file), 'ArchiveBucket')}"
    if place.startswith(_S3):
        bucket = place.removeprefix(_S3).rstrip("/")
        if not bucket or "/" in bucket:
            raise WrongUsage(f"--archive {place} is not a bucket like s3://my-archive")
        return BucketArchive(client("s3", max_pool_connections=16), bucket)
    from compaction.directory import DirectoryArchive  # noqa: PLC0415

    if not Path(place).is_dir():
        raise WrongUsage(
            f"--archive {place} is no directory: name one with raw-data/, or a bucket like s3://my-archive"
        )
    return DirectoryArchive(Path(place))


def tables_at(archive: Archive, catalog: str | None, database: str) -> Tables:
    """The compacted tables of an archive, by the option `--catalog`. Raises `WrongUsage`."""
    from compaction.catalogs import glue_tables, sqlite_tables  # noqa: PLC0415

    is_bucket = archive.root.startswith(_S3)
    if catalog is None:
        catalog = _GLUE if is_bucket else f"{_SQLITE}{archive.root}/compacted/catalog.db"
    files = _s3_settings() if is_bucket else {}
    if catalog == _GLUE:
        if not is_bucket:
            raise WrongUsage("--catalog glue needs an archive in S3: leave the option out for a directory")
        return glue_tables(client("glue"), database, archive.root, files)
    if not catalog.startswith(_SQLITE):
        raise WrongUsage(f"--catalog {catalog} is neither glue nor like sqlite:///path/of/catalog.db")
    return sqlite_tables(catalog, archive.root, files)


def database_of(database: str | None, prefix: str, stage: str) -> str:
    """The database of Glue: by default, the one that the stack analytics of the stage makes."""
    return database or f"{prefix}_{stage}_analytics".replace("-", "_")


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
            f"{error.name} is not installed here, because it is large: run `make history` in a checkout, or use the "
            "image stockstream-operations"
        ) from error


def _s3_settings() -> dict[str, str]:
    """How PyIceberg reaches S3. pyarrow finds the credentials by itself, as the SDK of AWS for C++ does."""
    s3: Any = client("s3")
    settings = {"s3.region": s3.meta.region_name}
    endpoint = s3.meta.endpoint_url
    return settings if ".amazonaws.com" in endpoint else {**settings, "s3.endpoint": endpoint}
