"""The commands of `python -m analytics`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import boto3
import typer
from botocore.exceptions import BotoCoreError
from rich.console import Console

from analytics import catalog, local_archive, templates
from analytics.duckdb_engine import Engine, view_columns
from analytics.errors import AnalyticsError
from analytics.formatting import OutputFormat
from analytics.prompt import Session
from terminal.output import echo, echo_error
from terminal.version import options

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="SQL over the archive.")
app.callback()(options)

PIPE_WIDTH = 240
"""The width of a table in characters if the output is not a terminal."""


@app.command()
def sql(
    query: Annotated[
        str | None,
        typer.Argument(
            help="SQL, or the name of a saved query. Without it, statements are read from a prompt or a pipe."
        ),
    ] = None,
    archive: Annotated[
        str,
        typer.Option(help="A directory that holds raw-data/, or s3://BUCKET.", show_default="the last demo's"),
    ] = str(local_archive.DIRECTORY),
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, with the exact values.")] = False,  # noqa: FBT002  (an option, by name)
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the result as CSV.")] = False,  # noqa: FBT002  (an option, by name)
    allow_files: Annotated[  # noqa: FBT002  (an option, by name)
        bool,
        typer.Option("--allow-files", help="Let SQL read and write files of this machine, for example with COPY."),
    ] = False,
) -> None:
    r"""Run SQL over an archive.

    The table, the views and the saved queries are the same as in Athena, and the query `\d` lists them. An archive in
    S3 is first downloaded completely, with the credentials and the endpoint that the AWS SDK finds.

    SQL reaches only the archive, so you can also run SQL that you have not written. A table and CSV show texts with
    escapes for what could draw on your terminal. JSON has the exact values.
    """
    if as_json and as_csv:
        raise typer.BadParameter("use only one of them", param_hint="--json --csv")
    with _reported_errors(), _archive_at(archive) as directory:
        known = catalog.read()
        engine = Engine(known, directory, allow_files=allow_files)
        last = local_archive.last_day(directory)
        if last is not None and local_archive.is_old(last, datetime.now(UTC).date()):
            echo(f"note: the archive ends on {last}, but saved queries read the last seven days", err=True)
        output_format: OutputFormat = "json" if as_json else "csv" if as_csv else "table"
        session = Session(known, engine, Console(width=None if sys.stdout.isatty() else PIPE_WIDTH), output_format)
        if query is None:
            session.run_prompt()
        else:
            session.run(query)


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


@contextmanager
def _archive_at(place: str) -> Iterator[Path]:
    """The directory of an archive. The archive of a bucket is downloaded, and removed when the block ends."""
    if not place.startswith("s3://"):
        yield local_archive.require(Path(place))
        return
    bucket = place.removeprefix("s3://").strip("/")
    with tempfile.TemporaryDirectory(prefix="stockstream-archive-") as scratch:
        downloaded = local_archive.download(boto3.Session().client("s3"), bucket, Path(scratch))
        for line in downloaded.left_out:
            echo(line, err=True)
        echo(f"downloaded {downloaded.objects:,} objects from s3://{bucket}", err=True)
        yield Path(scratch)


@contextmanager
def _reported_errors() -> Iterator[None]:
    """End with status 1 and a message for what a person can fix. A bug keeps its traceback."""
    try:
        yield
    except (AnalyticsError, BotoCoreError) as error:
        echo_error(error)
        raise typer.Exit(1) from error
