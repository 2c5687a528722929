"""The Iceberg tables in their catalog: made if they do not exist, read file by file, and overwritten in one commit.

A commit of PyIceberg requires that the table has the snapshot that was read. By default it repeats a commit that fails,
with the files that were computed from the older snapshot. That would lose the rows of the other commit, so the tables
switch it off, and a commit that fails raises `Conflict`. Glue refuses a commit by the version of its table, and SQLite
by the address of the metadata that the commit replaces.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
    ValidationError,
    ValidationException,
)
from pyiceberg.expressions import BooleanExpression
from pyiceberg.io.pyarrow import parquet_file_to_data_file, schema_to_pyarrow
from pyiceberg.manifest import DataFile
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import ALWAYS_TRUE, StaticTable, Transaction
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.sorting import SortField, SortOrder
from pyiceberg.table.update import TableUpdate
from pyiceberg.transforms import IdentityTransform, MonthTransform
from pyiceberg.types import (
    DateType,
    DecimalType,
    DoubleType,
    IntegerType,
    LongType,
    NestedField,
    PrimitiveType,
    StringType,
    TimestampType,
)

from analytics.compacted_tables import FOLDER, PRICE, CompactedTable
from analytics.current import File, TableFiles
from compaction.errors import Conflict, Damaged, Unavailable

_TYPES: dict[str, PrimitiveType] = {
    "string": StringType(),
    "bigint": LongType(),
    "int": IntegerType(),
    "double": DoubleType(),
    "date": DateType(),
    "timestamp": TimestampType(),
    PRICE: DecimalType(38, 26),
}
_TRANSFORMS: dict[str, Callable[[], Any]] = {"identity": IdentityTransform, "month": MonthTransform}
MANIFESTS = 20
"""How many manifests a table has when they are merged."""
PROPERTIES = {
    "commit.retry.num-retries": "0",  # see above
    "write.parquet.compression-codec": "zstd",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "100",
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": str(MANIFESTS),
}
_FIRST_PARTITION_FIELD = 1_000
_EPOCH = date(1970, 1, 1)
_ONE_DAY = timedelta(days=1)
BATCH_ROWS = 50_000
"""How many rows are read at once."""
Errors = tuple[type[Exception], ...]
_UNREADABLE: Errors = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    SystemError,
    TypeError,
    ValidationError,
    ValueError,
    pa.ArrowException,
    zlib.error,
)
"""What PyIceberg and pyarrow raise for bytes that are no Avro, JSON or Parquet. They do not check what they decode."""
_MAX_REASON = 200
ADVICE = "Restore it, or make the tables again from the raw archive (docs/history.md, When tables are damaged)"
"""What to do if a file of a table is gone or damaged."""


class DataFiles(msgspec.Struct, frozen=True):
    """Some files of a table, as its manifests describe them."""

    entries: tuple[DataFile, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """Their addresses."""
        return tuple(entry.file_path for entry in self.entries)

    @property
    def rows(self) -> int:
        """How many rows they hold."""
        return sum(entry.record_count for entry in self.entries)


class _Commit(Transaction):
    """A transaction that computes the metadata of the table once after each change.

    PyIceberg asks for it many times in a commit, and otherwise copies every snapshot and column each time. What it
    returns can be shared, since PyIceberg's models are frozen.
    """

    _computed: tuple[TableMetadata, tuple[TableUpdate, ...], TableMetadata] | None = None

    @property
    def table_metadata(self) -> TableMetadata:
        """The metadata with the changes so far."""
        stored, changes = self._table.metadata, self._updates
        if self._computed is None or self._computed[0] is not stored or self._computed[1] is not changes:
            self._computed = stored, changes, super().table_metadata
        return self._computed[2]


class OpenTable:
    """A table at the snapshot that it had when it was opened."""

    def __init__(self, declared: CompactedTable, table: IcebergTable, errors: Errors) -> None:
        self.declared, self._table, self._errors = declared, table, errors

    @property
    def location(self) -> str:
        """Where the files of the table are."""
        return self._table.location()

    @property
    def schema(self) -> pa.Schema:
        """The columns for pyarrow, with Iceberg's numbers, as they are in the files."""
        return schema_to_pyarrow(self._table.schema())

    def files(self, of: date | None = None) -> DataFiles:
        """The files of the table, or of one of its partitions: a day, or the first day of a month.

        Of a partition, only the manifests that may have its files are read.
        """
        with _translated(self.declared.name, self._errors), _read(self.declared.name):
            entries = (task.file for task in self._table.scan(row_filter=self._rows_of(of)).plan_files())
            return DataFiles(tuple(each for each in entries if of is None or self.partition_of(each) == of))

    def _rows_of(self, of: date | None) -> str | BooleanExpression:
        """The condition that the rows of a partition meet. PyIceberg parses a text, which takes a while."""
        if self.declared.partition is None or of is None:
            return ALWAYS_TRUE
        column, transform = self.declared.partition
        following = of + _ONE_DAY if transform == "identity" else (of + timedelta(days=31)).replace(day=1)
        return f"{column} >= '{of}' and {column} < '{following}'"

    def partition_of(self, entry: DataFile) -> date | None:
        """The day, or the first day of the month, of a file. None if the table has no partitions."""
        if self.declared.partition is None:
            return None
        value = entry.partition[0]
        if isinstance(value, date):
            return value
        if self.declared.partition[1] == "month":
            return date(1970 + value // 12, value % 12 + 1, 1)
        return date.fromordinal(_EPOCH.toordinal() + value)

    def batches(self, path: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of a file, some at once."""
        with _translated(path, self._errors), _read(path), self._table.io.new_input(path).open() as stream:
            file = pq.ParquetFile(stream, pre_buffer=False)
            yield from file.iter_batches(batch_size=BATCH_ROWS, columns=columns)

    @contextmanager
    def output(self, path: str) -> Iterator[Any]:
        """A new file of the table, to write to."""
        with _translated(path, self._errors), self._table.io.new_output(path).create(overwrite=True) as stream:
            yield stream

    def delete(self, paths: Sequence[str]) -> None:
        """Delete files that no commit names."""
        for path in paths:
            with _translated(path, self._errors):
                self._table.io.delete(path)

    def replace(self, old: DataFiles, new: Sequence[str]) -> None:
        """Put new files in the place of old ones, in one snapshot.

        Raises `Conflict`, and changes nothing, if the table has another snapshot than when it was opened.
        """
        if not old.entries and not new:
            return
        with _translated(self.declared.name, self._errors):
            described = [parquet_file_to_data_file(self._table.io, self._table.metadata, path) for path in new]
            transaction = _Commit(self._table)
            update = transaction.update_snapshot()
            with update.overwrite() if old.entries else update.merge_append() as change:
                for entry in old.entries:
                    change.delete_data_file(entry)
                for entry in described:
                    change.append_data_file(entry)
            self._merge_manifests(transaction)
            transaction.commit_transaction()

    def _merge_manifests(self, transaction: Transaction) -> None:
        """Let a commit have few manifests.

        PyIceberg merges them when it appends. When it overwrites, it merges none and keeps those of deleted files. So
        an append of no file follows the overwrite that makes them many, in the same commit.
        """
        snapshot = transaction.table_metadata.current_snapshot()
        if snapshot is not None and len(snapshot.manifests(self._table.io)) >= MANIFESTS:
            with transaction.update_snapshot().merge_append():
                pass

    def expire_snapshots(self, before: datetime) -> None:
        """Forget the snapshots that were replaced before a time.

        A query that has begun on the last snapshot but one can be going on, however old that snapshot is.
        """
        with _translated(self.declared.name, self._errors):
            # Not by their times, since the clocks of machines differ: the last one is the table, which never expires.
            snapshots = sorted(self._table.snapshots(), key=lambda each: each.sequence_number or 0)
            end = before.timestamp() * 1000
            ids = [old.snapshot_id for old, new in pairwise(snapshots) if new.timestamp_ms < end]
            if ids:
                self._table.maintenance.expire_snapshots().by_ids(ids).commit()

    def referenced(self) -> set[str]:
        """The addresses of all files of all snapshots."""
        with _translated(self.declared.name, self._errors), _read(self.declared.name):
            metadata, io = self._table.metadata, self._table.io
            found = {self._table.metadata_location, *(entry.metadata_file for entry in metadata.metadata_log)}
            for snapshot in metadata.snapshots:
                found.add(snapshot.manifest_list)
                for manifest in snapshot.manifests(io):
                    if manifest.manifest_path in found:
                        continue
                    found.add(manifest.manifest_path)
                    found.update(each.data_file.file_path for each in manifest.fetch_manifest_entry(io))
            return found

    def summary(self) -> TableFiles:
        """The files of the table, in the order of their days."""
        files = [
            File(each.file_path, each.record_count, each.file_size_in_bytes, self.partition_of(each))
            for each in self.files().entries
        ]
        files.sort(key=lambda each: (each.day or date.min, each.path))
        return TableFiles(self._table.metadata_location, tuple(files))


class Tables:
    """The tables of a namespace. `root` is where the archive is."""

    def __init__(
        self, catalog: Catalog, namespace: str, root: str, *, makes_namespace: bool, errors: Errors = ()
    ) -> None:
        """`errors` are what the catalog raises if it does not answer."""
        self._catalog, self._namespace, self._root, self._errors = catalog, namespace, root, errors
        self._makes_namespace = makes_namespace
        self._published: Mapping[str, TableFiles] = {}

    @property
    def is_glue(self) -> bool:
        """Whether the catalog is Glue, which has the views of Athena too."""
        return not self._makes_namespace

    def recover(self, published: Mapping[str, TableFiles]) -> None:
        """Let a table that the catalog does not know be one that was published, if it was.

        A stage that is deleted and made again keeps its archive, and gets an empty database of Glue.
        """
        self._published = published

    def existing(self, declared: CompactedTable) -> OpenTable | None:
        """The table as it is now. None if it does not exist. Changes nothing. Raises `Unavailable` and `Damaged`."""
        with _translated(declared.name, self._errors), _read(declared.name):
            try:
                table = self._catalog.load_table((self._namespace, declared.name))
            except NoSuchTableError:
                if declared.name not in self._published:
                    return None
                table = StaticTable.from_metadata(self._published[declared.name].metadata, self._catalog.properties)
        return self._opened(declared, table)

    def open(self, declared: CompactedTable) -> OpenTable:
        """The table as it is now. It is made if it does not exist. Raises `Unavailable` and `Damaged`."""
        return self._opened(declared, self._loaded(declared))

    def _opened(self, declared: CompactedTable, table: IcebergTable) -> OpenTable:
        if not is_below(table.location(), self._root):
            raise Damaged(
                f"the catalog has {declared.name} at {table.location()}, and not in the archive at {self._root}. If "
                f"the archive was moved or copied with all of its raw-data/, delete its folder {FOLDER}/, and run "
                "`compact` again. Otherwise name another catalog"
            )
        return OpenTable(declared, table, self._errors)

    def _loaded(self, declared: CompactedTable) -> IcebergTable:
        name = (self._namespace, declared.name)
        with _translated(declared.name, self._errors), _read(declared.name):
            try:
                return self._catalog.load_table(name)
            except NoSuchTableError:
                pass
            if self._makes_namespace:
                self._catalog.create_namespace_if_not_exists(self._namespace)
            try:
                return self._made(declared)
            except TableAlreadyExistsError:  # another run has made it just now
                return self._catalog.load_table(name)
            except NoSuchNamespaceError as error:
                raise Unavailable(
                    f"Glue has no database {self._namespace}: deploy the stack analytics, which makes it "
                    "(docs/deploy.md), or name another one by --database"
                ) from error

    def _made(self, declared: CompactedTable) -> IcebergTable:
        name = (self._namespace, declared.name)
        if declared.name in self._published:
            return self._catalog.register_table(name, self._published[declared.name].metadata)
        schema, spec, order = _iceberg(declared)
        location = f"{self._root}/{FOLDER}/{declared.name}"
        return self._catalog.create_table(
            name, schema, location, partition_spec=spec, sort_order=order, properties=PROPERTIES
        )


def is_below(address: str, root: str) -> bool:
    """Whether an address is in the archive."""
    return address.removeprefix("file://").startswith(f"{root}/")


def key_of(address: str, root: str) -> str:
    """The key of an object below the root of the archive."""
    return address.removeprefix("file://").removeprefix(f"{root}/")


def _iceberg(declared: CompactedTable) -> tuple[Schema, PartitionSpec, SortOrder]:
    fields = [
        NestedField(number, column.name, _TYPES[column.type], required=False, doc=column.comment or None)
        for number, column in enumerate(declared.columns, start=1)
    ]
    numbers = {field.name: field.field_id for field in fields}
    order = SortOrder(*(SortField(numbers[name], transform=IdentityTransform()) for name in declared.key))
    if declared.partition is None:
        return Schema(*fields), PartitionSpec(), order
    column, transform = declared.partition
    name = column if transform == "identity" else f"{column}_{transform}"
    field = PartitionField(numbers[column], _FIRST_PARTITION_FIELD, _TRANSFORMS[transform](), name)
    return Schema(*fields), PartitionSpec(field), order


@contextmanager
def _translated(what: str, errors: Errors) -> Iterator[None]:
    """Raise the errors of the library as those of this package, with what was worked on."""
    unavailable: Errors = (OSError, *errors)
    try:
        yield
    except (CommitFailedException, ValidationException) as error:
        raise Conflict(f"{what}: another run has changed the table: {error}") from error
    except FileNotFoundError as error:
        raise Damaged(f"{what}: a file of the table is gone: {error}. {ADVICE}") from error
    except unavailable as error:
        raise Unavailable(f"{what}: {error}") from error


@contextmanager
def _read(what: str) -> Iterator[None]:
    """Raise the errors of the library for a file that is not what was written, as `Damaged`."""
    try:
        yield
    except _UNREADABLE as error:
        reason = f"{error}".partition("\n")[0][:_MAX_REASON] or type(error).__name__
        raise Damaged(f"{what}: a file of the table is damaged: {reason}. {ADVICE}") from error
