"""The commands of `python -m deployment`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import boto3
import typer
from botocore.exceptions import BotoCoreError

from deployment.deployer import ALL_STACKS, IMAGE, PIPELINE, Deployment
from deployment.errors import DeploymentError
from deployment.functions import FUNCTIONS, PROCESSOR, ROOT, RULES, Function, checked_rules
from deployment.image import ProducerImage
from deployment.package import Architecture, Target, build

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Deploy the pipeline to AWS, or to an emulator of it."
)

LAMBDA = Target()

ArchitectureOption = Annotated[
    Literal["arm64", "x86_64", "native"],
    typer.Option(help="The CPU that the functions run on. `native` is this machine's."),
]
PrefixOption = Annotated[str, typer.Option(help="The first part of the stacks' names.")]
RulesOption = Annotated[
    Path | None, typer.Option(dir_okay=False, help="A TOML file of alert rules that replaces the default rules.")
]
StageOption = Annotated[str, typer.Option(help="The second part of the stacks' names.")]


@app.command()
def package(
    function: Annotated[
        str, typer.Argument(help=f"The function: {', '.join(FUNCTIONS)}.", show_default=True)
    ] = PROCESSOR.name,
    python: Annotated[str, typer.Option(help="The minor version of Python.")] = LAMBDA.python,
    architecture: ArchitectureOption = LAMBDA.architecture,
    output: Annotated[Path, typer.Option(help="The directory of the zip.", show_default="build")] = ROOT / "build",
    rules: RulesOption = None,
) -> None:
    """Build a function's zip, the same bytes every time, and print its path."""
    if function not in FUNCTIONS:
        raise typer.BadParameter(f"{function!r} is no function; there is {', '.join(FUNCTIONS)}", param_hint="FUNCTION")
    with _reported_errors():
        target = Target(python=python, architecture=_cpu(architecture))
        typer.echo(str(_built(FUNCTIONS[function], target, rules, output)))


@app.command()
def deploy(  # noqa: PLR0917  (options, by name)
    prefix: PrefixOption = "stockstream",
    stage: StageOption = "dev",
    architecture: ArchitectureOption = LAMBDA.architecture,
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A parameter of the templates. Repeat for more.")
    ] = None,
    parameters_file: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="More parameters, one KEY=VALUE a line. --parameter takes precedence."
        ),
    ] = None,
    outputs_file: Annotated[
        Path | None, typer.Option(help="Also write the outputs to this file, for other programs.")
    ] = None,
    rules: RulesOption = None,
    image: Annotated[
        str | None, typer.Option(help="The URI of the producer's image. Without it, docker builds and pushes one.")
    ] = None,
    whole: Annotated[  # noqa: FBT002  (an option, by name)
        bool, typer.Option("--whole", help="Also deploy the producer, registry, network, alarms and SQL.")
    ] = False,
    dry_run: Annotated[  # noqa: FBT002  (an option, by name)
        bool, typer.Option("--dry-run", help="Show what would change, by change sets that are deleted. Change nothing.")
    ] = False,
) -> None:
    """Deploy the templates to where the AWS SDK's environment points, and print their outputs.

    Without --whole it deploys only what quotes flow through: stream, storage and processor. A parameter that is not
    named gets its default, whatever it was before. Write the parameters of a stage into a file.
    """
    with _reported_errors():
        cpu = _cpu(architecture)
        overrides = {"Architecture": cpu, **_parameters(parameters_file, parameter or [])}
        if image is not None:
            overrides[IMAGE] = image
        deployment = _deployment(prefix, stage, ALL_STACKS if whole else PIPELINE)
        producer = ProducerImage(cpu)
        if whole and not dry_run and IMAGE not in overrides:
            producer.check()
        zips = {
            function.name: _built(function, Target(architecture=cpu), rules)
            for function in FUNCTIONS.values()
            if function.name in deployment.stacks
        }
        if dry_run:
            previews = deployment.preview(
                zips, overrides, image=lambda known: producer.uri(known.get("RepositoryUri", "new"))
            )
            for stack, changes in previews.items():
                typer.echo("\n  ".join([stack, *(changes or ("nothing to change",))]))
            return
        ecr = boto3.client("ecr") if whole else None
        outputs = deployment.deploy(
            zips, overrides, image=lambda known: producer.pushed(ecr, known["RepositoryUri"], deployment.report)
        )
        lines = "".join(f"{name}={value}\n" for name, value in outputs.items())
        if outputs_file is not None:
            outputs_file.write_text(lines, encoding="utf-8")
        typer.echo(lines, nl=False)


@app.command()
def destroy(prefix: PrefixOption = "stockstream", stage: StageOption = "dev") -> None:
    """Delete what was deployed, except the tables and the archive."""
    with _reported_errors():
        _deployment(prefix, stage, ALL_STACKS).destroy()


def _built(function: Function, target: Target, rules: Path | None, output: Path = ROOT / "build") -> Path:
    replaced = {RULES: checked_rules(rules)} if rules is not None and function is PROCESSOR else {}
    return build(function, target, output, replaced=replaced)


def _cpu(architecture: Literal["arm64", "x86_64", "native"]) -> Architecture:
    return Target.of_this_interpreter().architecture if architecture == "native" else architecture


def _parameters(file: Path | None, given: list[str]) -> dict[str, str]:
    """The parameters of a file, without comments and empty lines, and those given on the command line."""
    lines = [] if file is None else file.read_text(encoding="utf-8").splitlines()
    written = [line for line in map(str.strip, lines) if line and not line.startswith("#")]
    return dict(_pair(text) for text in [*written, *given])


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--parameter")
    return name, value


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


@contextmanager
def _reported_errors() -> Iterator[None]:
    """End with status 1 and a message for what a person can fix. A bug of ours keeps its traceback."""
    try:
        yield
    except (DeploymentError, BotoCoreError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
