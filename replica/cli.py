"""The commands of `python -m replica`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import boto3
import msgspec
import typer
from botocore.exceptions import BotoCoreError
from rich.console import Console

from replica import kept
from replica.deployment import PIPELINE, TEMPLATES, WHOLE, Deployment
from replica.errors import ReplicaError
from replica.image import ProducerImage
from replica.package import ROOT, Architecture, Target, build

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)

PIPE_WIDTH = 240
"""No terminal cuts what goes through a pipe."""
LAMBDA = Target()
Source = Literal["synthetic", "replay", "yahoo"]

ArchitectureOption = Annotated[
    Literal["arm64", "x86_64", "native"], typer.Option(help="The CPU that the function runs on; native is this one.")
]
PrefixOption = Annotated[str, typer.Option(help="The first part of the stacks' names.")]
RulesOption = Annotated[
    Path | None, typer.Option(dir_okay=False, help="A TOML file of alert rules, in place of the default ones.")
]
StageOption = Annotated[str, typer.Option(help="The second part of the stacks' names.")]


@app.command()
def demo(  # noqa: PLR0917  (options, by name)
    seconds: Annotated[
        float | None, typer.Option(min=1, help="How long to run; without it until Ctrl-C, or the end of a replay.")
    ] = None,
    source: Annotated[Source, typer.Option(help="Where the quotes come from.")] = "synthetic",
    symbols: Annotated[str | None, typer.Option(help="AAPL,MSFT,…; yahoo needs them, the others have theirs.")] = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds from one poll to the next.")] = 1.0,
    replay_path: Annotated[
        Path | None, typer.Option(help="A file or directory of SYMBOL_1min.csv bars or JSON Lines.")
    ] = None,
    replay_speed: Annotated[float, typer.Option(min=0, help="Times real time; 0 is as fast as it goes.")] = 0.0,
    summary: Annotated[Path | None, typer.Option(help="Write the closing figures there, as JSON.")] = None,
    keep: Annotated[
        Path,
        typer.Option(file_okay=False, help="Leave the archive there for `sql`.", show_default="build/demo-archive"),
    ] = kept.DIRECTORY,
    auth: Annotated[  # noqa: FBT002  (an option, by name)
        bool, typer.Option("--auth", envvar="AUTH", help="Enforce the deployed IAM policies, the function's role too.")
    ] = False,
) -> None:
    """Run the whole pipeline on this machine, watch it, and hold it to account.

    Starts an emulator of AWS, deploys the templates, runs the producer and delivers its stream to the function as
    Lambda does. At the end (Ctrl-C, --seconds, or the end of a replay) it drains, reads everything back and compares
    it with the ledger of accepted quotes. Exits 1 if a quote was lost, duplicated or out of order. Other PRODUCER_
    variables of the environment reach the producer as they are.
    """
    from replica import demo as demo_  # noqa: PLC0415  (what it imports is not wanted for `package`)
    from replica.view import View  # noqa: PLC0415

    settings = {"SOURCE": source, "POLL_INTERVAL_SECONDS": str(interval), "REPLAY_SPEED": str(replay_speed)}
    if symbols:
        settings["SYMBOLS"] = symbols
    if replay_path is not None:
        settings["REPLAY_PATH"] = str(replay_path.absolute())
    with _errors_told():
        result = demo_.run(View(Console()), seconds=seconds, settings=settings, archive=keep, policies_enforced=auth)
        if summary is not None:
            summary.write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")
    if result.lost or result.duplicated or result.out_of_order:
        raise typer.Exit(1)


@app.command()
def package(
    python: Annotated[str, typer.Option(help="The interpreter's minor version.")] = LAMBDA.python,
    architecture: ArchitectureOption = LAMBDA.architecture,
    output: Annotated[Path, typer.Option(help="The directory of the zip.", show_default="build")] = ROOT / "build",
    rules: RulesOption = None,
) -> None:
    """Build the Lambda zip, the same bytes every time, and print its path."""
    with _errors_told():
        typer.echo(str(build(Target(python=python, architecture=_cpu(architecture)), output, rules=rules)))


@app.command()
def deploy(  # noqa: PLR0917  (options, by name)
    prefix: PrefixOption = "stockstream",
    stage: StageOption = "dev",
    architecture: ArchitectureOption = LAMBDA.architecture,
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A parameter of the templates; repeat for more.")
    ] = None,
    parameters_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="More of them, one KEY=VALUE a line; --parameter wins."),
    ] = None,
    outputs_file: Annotated[Path | None, typer.Option(help="Write the outputs there too, for other programs.")] = None,
    rules: RulesOption = None,
    image: Annotated[
        str | None, typer.Option(help="The producer's image; without it, docker builds and pushes it.")
    ] = None,
    whole: Annotated[  # noqa: FBT002  (an option, by name)
        bool, typer.Option("--whole", help="The producer too, with registry, network, alarms and SQL.")
    ] = False,
    dry_run: Annotated[  # noqa: FBT002  (an option, by name)
        bool, typer.Option("--dry-run", help="Show what would change, by change sets that are deleted; change nothing.")
    ] = False,
) -> None:
    """Deploy the templates to where the AWS SDK's own environment points, and print their outputs.

    Without --whole: what quotes flow through, stream, storage and processor. A parameter that is not named has its
    default, whatever it had before: write into a file what a stage shall keep.
    """
    with _errors_told():
        cpu = _cpu(architecture)
        overrides = {"Architecture": cpu, **_parameters(parameters_file, parameter or [])}
        if image is not None:
            overrides["Image"] = image
        deployment = _deployment(prefix, stage, WHOLE if whole else PIPELINE)
        producer = ProducerImage(cpu)
        if whole and not dry_run and "Image" not in overrides:
            producer.check()
        package = build(Target(architecture=cpu), rules=rules)
        if dry_run:
            previews = deployment.preview(
                package, overrides, image=lambda known: producer.uri(known.get("RepositoryUri", "new"))
            )
            for stack, changes in previews.items():
                typer.echo("\n  ".join([stack, *(changes or ("nothing to change",))]))
            return
        ecr = boto3.client("ecr") if whole else None
        outputs = deployment.deploy(
            package, overrides, image=lambda known: producer.pushed(ecr, known["RepositoryUri"], deployment.report)
        )
        lines = "".join(f"{name}={value}\n" for name, value in outputs.items())
        if outputs_file is not None:
            outputs_file.write_text(lines, encoding="utf-8")
        typer.echo(lines, nl=False)


@app.command()
def export(
    outputs_file: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="What `deploy` wrote there.")],
    host: Annotated[str, typer.Option(help="The address of /metrics; 0.0.0.0 in a container.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Its port.")] = 9100,
) -> None:
    """Serve Prometheus what the far end of the pipeline shows, until stopped."""
    from replica import exporter  # noqa: PLC0415  (its Prometheus client is not wanted for `package`)

    with _errors_told():
        lines = outputs_file.read_text(encoding="utf-8").splitlines()
        exporter.serve(dict(_pair(line) for line in lines), host, port)


@app.command()
def sql(
    query: Annotated[
        str | None, typer.Argument(help="SQL, or the name of a saved query; without it a prompt, or SQL from a pipe.")
    ] = None,
    archive: Annotated[
        str, typer.Option(help="A directory that holds raw-data/, or s3://BUCKET.", show_default="the last demo's")
    ] = str(kept.DIRECTORY),
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,  # noqa: FBT002  (an option, by name)
    as_csv: Annotated[bool, typer.Option("--csv", help="Answer as CSV.")] = False,  # noqa: FBT002  (an option, by name)
) -> None:
    r"""Ask the archive by SQL, with the tables, views and saved queries that Athena gets.

    `\d` lists them. An archive in S3 is read from where the AWS SDK's own environment points, the whole of it.
    """
    from replica import catalog, prompt  # noqa: PLC0415  (DuckDB is not wanted for `package`)
    from replica.answers import Form  # noqa: PLC0415
    from replica.engine import Engine  # noqa: PLC0415

    if as_json and as_csv:
        raise typer.BadParameter("one of the two is enough", param_hint="--json --csv")
    with _errors_told(), _archive_at(archive) as directory:
        known = catalog.read()
        engine = Engine(known, directory)
        if (last := kept.last_day(directory)) is not None and kept.is_old(last, datetime.now(UTC).date()):
            typer.echo(f"note: the archive ends on {last}, and saved queries look at the last seven days", err=True)
        form: Form = "json" if as_json else "csv" if as_csv else "table"
        session = prompt.Session(known, engine, Console(width=None if sys.stdout.isatty() else PIPE_WIDTH), form)
        if query is None:
            session.prompt()
        else:
            session.ask(query)


@app.command()
def queries() -> None:
    """Write the templates of the views and saved queries anew, from the SQL in infra/athena."""
    from replica import catalog, queries_template  # noqa: PLC0415  (DuckDB is not wanted for `package`)

    with _errors_told():
        for name, text in queries_template.render(catalog.read()).items():
            (TEMPLATES / name).write_text(text, encoding="utf-8")
            typer.echo(str(TEMPLATES / name))


@app.command()
def destroy(prefix: PrefixOption = "stockstream", stage: StageOption = "dev") -> None:
    """Delete what was deployed, but for the tables and the archive."""
    with _errors_told():
        _deployment(prefix, stage, WHOLE).destroy()


@contextmanager
def _archive_at(place: str) -> Iterator[Path]:
    """A directory that holds the archive; that of a bucket is copied, and goes when the block ends."""
    if not place.startswith("s3://"):
        yield kept.found(Path(place))
        return
    bucket = place.removeprefix("s3://").strip("/")
    with tempfile.TemporaryDirectory(prefix="stockstream-archive-") as scratch:
        objects = kept.keep(boto3.Session().client("s3"), bucket, Path(scratch))
        typer.echo(f"{objects:,} objects of {bucket} read", err=True)
        yield Path(scratch)


def _cpu(architecture: Literal["arm64", "x86_64", "native"]) -> Architecture:
    return Target.of_this_interpreter().architecture if architecture == "native" else architecture


def _parameters(file: Path | None, given: list[str]) -> dict[str, str]:
    """The parameters of a file, without its comments and empty lines, and those given beside it."""
    lines = [] if file is None else file.read_text(encoding="utf-8").splitlines()
    written = [line for line in map(str.strip, lines) if line and not line.startswith("#")]
    return dict(_pair(text) for text in [*written, *given])


def _deployment(prefix: str, stage: str, stacks: tuple[str, ...]) -> Deployment:
    session = boto3.Session()
    return Deployment(
        session.client("cloudformation"),
        session.client("s3"),
        f"{prefix}-{stage}",
        lambda line: typer.echo(line, err=True),
        stacks=stacks,
        tags={"application": prefix, "stage": stage},
    )


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--parameter")
    return name, value


@contextmanager
def _errors_told() -> Iterator[None]:
    """End with status 1 and a message for what a person can put right; with a trace for what is a bug of ours."""
    try:
        yield
    except (ReplicaError, BotoCoreError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
