"""The commands of `python -m operations`."""

from __future__ import annotations

from typing import Annotated

import typer

from operations import bill_cli, kinesis, quarantine_cli, redrive
from operations.aws import client
from operations.console import (
    NOT_DONE,
    OutputsFileOption,
    StackPrefixOption,
    StageOption,
    epilog,
    errors_told,
    outputs_of,
    progress,
    say,
)
from operations.delivery import Courier
from operations.due import Due
from operations.kinesis import KinesisStream
from operations.outputs import named
from operations.s3 import S3Objects
from processor_lambda.records import Record

KILOBYTE = 1000

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="The operator's commands, on AWS and on any emulator of it. AWS endpoint, region and credentials come the "
    "SDK's own way: AWS_ENDPOINT_URL, AWS_DEFAULT_REGION, AWS_PROFILE, …",
)
app.add_typer(quarantine_cli.app, name="quarantine")
app.command("bill", epilog=bill_cli.EXAMPLES)(bill_cli.show)


@app.command(
    "redrive", epilog=epilog("redrive --dry-run", "redrive", "redrive --stage prod --kilobytes-per-second 200")
)
def redrive_(  # noqa: PLR0917  (options, by name)
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,  # noqa: FBT002
    again: Annotated[  # noqa: FBT002
        bool, typer.Option("--again", help="Redrive what was redriven before, from redriven/, where it stays.")
    ] = False,
    kilobytes_per_second: Annotated[
        int, typer.Option(min=0, help="Leave the rest of the shards to the live producer; 0 is as fast as it goes.")
    ] = 500,
    stack_prefix: StackPrefixOption = "stockstream",
    stage: StageOption = "dev",
    outputs_file: OutputsFileOption = None,
) -> None:
    """Put back on the stream what Lambda gave up: batches that used up their retries or grew too old.

    They lie in the archive bucket under aws/lambda/. Their records go back as they are, under their own partition
    keys and in their order, one of a key at a time. An object whose records Kinesis has acknowledged moves to
    redriven/. Repeating it, or interrupting it, changes nothing downstream: each quote is one row.
    """
    with errors_told():
        names = outputs_of(stack_prefix, stage, outputs_file)
        objects, bucket = S3Objects(client("s3")), named(names, "ArchiveBucket")
        with progress("reading what was given up", None) as told:
            found = redrive.survey(objects, bucket, told, again=again)
        for reason in found.unreadable.values():
            say(f"left alone: {reason}")
        records, size = found.records, sum(batch.bytes for batch in found.batches)
        say(f"{len(found.batches)} objects with {records} records, {size / KILOBYTE:.0f} kB")
        if dry_run:
            for batch in found.batches:
                typer.echo(f"{batch.address}  {batch.records} records")
            raise typer.Exit(NOT_DONE if found.unreadable else 0)
        stream = KinesisStream(client("kinesis", **kinesis.SETTINGS), named(names, "StreamName"))
        courier = Courier(stream, bytes_per_second=kilobytes_per_second * KILOBYTE)
        due = Due()
        with progress("redriving records", records) as told:

            def finished(batch: tuple[Record, ...]) -> None:
                due.add(record.data for record in batch)
                told(len(batch))

            done = redrive.redrive(objects, found.batches, bucket, courier, finished)
        typer.echo(f"redriven {done.records} records; {done.batches} of {len(found.batches)} objects are done with")
        for command in due.commands():
            say(f"their minutes may be closed; an hour after them, correct the bars: {command}")
        if done.failure:
            say(f"stopped: {done.failure}; it and what lies behind it are where they were")
        if done.failure or found.unreadable:
            raise typer.Exit(NOT_DONE)
