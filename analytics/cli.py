"""The commands of `python -m analytics`."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError

from analytics import catalog, local_archive, templates
from analytics.duckdb_engine import Engine, QueryError, view_columns
from analytics.errors import AnalyticsError
from analytics.formatting import OutputFormat
from analytics.pager import Screen
from analytics.prompt import run_prompt
from analytics.session import Session
from analytics.statements import split
from terminal.output import echo, echo_error
from terminal.version import options
from workspace import demo_record
from workspace.places import STATE

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="SQL over the archive.")
app.callback()(options)

HISTORY = STATE / "sql-history"
WRONG_USAGE = 2
INTERRUPTED = 130
"""The exit status of shells for a program that Ctrl-C ended."""


@app.command()
def sql(
    query: Annotated[
        str | None,
        typer.Argument(
            help="SQL statements, or names of saved queries, with semicolons between them. "
            "Without it, they are read from a prompt or a pipe."
        ),
    ] = None,
    archive: Annotated[
        str | None,
        typer.Option(help="A directory that holds raw-data/, or s3://BUCKET.", show_default="the last demo's"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print results as JSON, with the exact values.")] = False,  # noqa: FBT002  (an option, by name)
    as_csv: Annotated[bool, typer.Option("--csv", help="Print results as CSV.")] = False,  # noqa: FBT002  (an option, by name)
    allow_files: Annotated[  # noqa: FBT002  (an option, by name)
        bool,
        typer.Option(
            "--allow-files",
            help="Let SQL read and write files of this machine. `COPY quotes TO 'quotes.parquet'` writes Parquet.",
        ),
    ] = False,
) -> None:
    r"""Run SQL over an archive.

    The table `lines`, the views and the saved queries are the same as in Athena, and the query `\d` lists them. The
    tables `bars` and `alerts` are beside the archive of a demo. An archive in S3 is first downloaded completely, with
    the credentials and the endpoint that the AWS SDK finds.

    If a statement fails, the statements after it do not run, and the command exits with 1. It exits with 2 if it is
    called in a wrong way.

    SQL reaches only the archive and changes nothing, so you can also run SQL that you have not written. Tables and CSV
    show texts with escapes for what could draw on your terminal. JSON has the exact values. A terminal shows a table
    that does not fit through the pager that the variable PAGER names, or `less`.
    """
    if as_json and as_csv:
        raise typer.BadParameter("use only one of them", param_hint="--json --csv")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may not know every character
    with _reported_errors(), _archive_at(archive) as directory:
        known = catalog.read()
        last = local_archive.last_day(directory)
        if last is not None and local_archive.is_old(last, datetime.now(UTC).date()):
            echo(f"note: the archive ends on {last}, but saved queries read the last seven days", err=True)
        output_format: OutputFormat = "json" if as_json else "csv" if as_csv else "table"
        with closing(Engine(known, directory, allow_files=allow_files)) as engine:
            session = Session(known, engine, Screen(os.environ.get("PAGER")), output_format)
            if query is None and sys.stdin.isatty():
                echo(f"The archive is {directory}.")
                run_prompt(session, HISTORY)
            else:
                session.run_all(split(_piped() if query is None else _given(query)))


@app.command("templates")
def write_templates() -> None:
    """Write the templates of the views and queries.

    These are CloudFormation templates, and the SQL is in infra/athena.
    """
    with _reported_errors():
        known = catalog.read()
        for name, text in templates.render(known, view_columns(known)).items():
            path = catalog.TEMPLATES / name
            path.write_text(text, encoding="utf-8")
            echo(str(path))


def _piped() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise QueryError(f"the piped SQL is not UTF-8: {error}") from error


def _given(query: str) -> str:
    try:
        query.encode()  # Python has put surrogates in place of bytes that are not UTF-8
    except UnicodeEncodeError as error:
        raise QueryError(f"the SQL is not UTF-8: {error}") from error
    if not query.strip():
        raise QueryError("there is no statement")
    return query


@contextmanager
def _archive_at(place: str | None) -> Iterator[Path]:
    """The directory of an archive. The archive of a bucket is downloaded, and removed when the block ends."""
    if place is None:
        running = demo_record.running()
        newest = local_archive.newest(demo_record.last_ended(), running)
        if running:
            echo("note: a demo is running, and its archive comes when it ends. This is an earlier one", err=True)
        yield newest
    elif not place.startswith("s3://"):
        yield local_archive.require(Path(place))
    else:
        import boto3  # noqa: PLC0415  (most archives are on this machine)

        bucket = place.removeprefix("s3://").strip("/")
        with tempfile.TemporaryDirectory(prefix="stockstream-archive-") as scratch:
            downloaded = local_archive.download(boto3.Session().client("s3"), bucket, Path(scratch))
            for line in downloaded.left_out:
                echo(line, err=True)
            echo(f"downloaded {downloaded.objects:,} objects from s3://{bucket}", err=True)
            yield Path(scratch)


@contextmanager
def _reported_errors() -> Iterator[None]:
    """End with status 1, or 2 for wrong usage, and a message for what a person can fix. A bug keeps its traceback."""
    try:
        yield
    except (AnalyticsError, BotoCoreError) as error:
        echo_error(error)
        raise typer.Exit(WRONG_USAGE if isinstance(error, local_archive.WrongArchive) else 1) from error
    except KeyboardInterrupt as error:
        echo("interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from error
