"""The commands of `python -m deployment`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import boto3
import typer
from botocore.exceptions import BotoCoreError

from deployment.alert_rules import RULES, checked_rules
from deployment.deployer import IMAGE, Deployment
from deployment.errors import DeploymentError
from deployment.functions import FUNCTIONS, PROCESSOR, Function
from deployment.image import ProducerImage
from deployment.package import Architecture, Target, build
from deployment.stacks import ALL_STACKS, PIPELINE
from quotes.encodings import NotUtf8, decode_text
from terminal.output import echo, echo_error
from terminal.program import called
from terminal.version import VersionOption
from workspace.places import STATE

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown")

LAMBDA = Target()

ArchitectureOption = Annotated[
    Literal["arm64", "x86_64", "native"],
    typer.Option(help="The CPU that the functions run on. `native` is the CPU of this machine."),
]
PrefixOption = Annotated[str, typer.Option(help="The first part of the names of the stacks.")]
RulesOption = Annotated[
    Path | None, typer.Option(dir_okay=False, help="A TOML file of alert rules that replaces the default rules.")
]
StageOption = Annotated[str, typer.Option(help="The second part of the names of the stacks.")]


@app.callback()
def main(version: VersionOption = False) -> None:  # noqa: FBT002  (an option, by name)
    """Deploy the pipeline to AWS, or to an emulator of it.

    The environment of the AWS SDK decides where: AWS_PROFILE, AWS_DEFAULT_REGION, and AWS_ENDPOINT_URL for an emulator.
    docs/deploy.md is the guide, from an empty account to stored quotes.
    """


@app.command()
def package(
    function: Annotated[str, typer.Argument(help=f"The function: {', '.join(FUNCTIONS)}.")] = PROCESSOR.name,
    python: Annotated[str, typer.Option(help="The minor version of Python.")] = LAMBDA.python,
    architecture: ArchitectureOption = LAMBDA.architecture,
    output: Annotated[Path, typer.Option(help="The directory of the zip.", show_default="build")] = STATE,
    rules: RulesOption = None,
) -> None:
    """Build the zip of a Lambda function, and print its path.

    The same source gives the same zip, byte for byte. `deploy` builds the zips itself.
    """
    if function not in FUNCTIONS:
        raise typer.BadParameter(
            f"there is no function {function!r}; the functions are: {', '.join(FUNCTIONS)}", param_hint="FUNCTION"
        )
    with _reported_errors():
        target = Target(python=python, architecture=_cpu(architecture))
        echo(str(_build(FUNCTIONS[function], target, rules, output)))


@app.command(
    epilog=f"Example: `{called('deployment')} deploy --whole --stage prod --parameters-file infra/stages/prod.env "
    "--dry-run`"
)
def deploy(  # noqa: PLR0917  (options, by name)
    prefix: PrefixOption = "stockstream",
    stage: StageOption = "dev",
    architecture: ArchitectureOption = LAMBDA.architecture,
    parameter: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A parameter of the templates. Repeat the option for more parameters."),
    ] = None,
    parameters_file: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="A file of parameters, one KEY=VALUE a line, such as infra/stages/dev.env. --parameter overrides it.",
        ),
    ] = None,
    outputs_file: Annotated[
        Path | None, typer.Option(help="Also write the outputs to this file, for other programs.")
    ] = None,
    rules: RulesOption = None,
    image: Annotated[
        str | None,
        typer.Option(help="The URI of an image of the producer. By default, docker builds and pushes one."),
    ] = None,
    whole: Annotated[  # noqa: FBT002  (an option, by name)
        bool, typer.Option("--whole", help="Deploy all stacks: also registry, network, producer, alarms and SQL.")
    ] = False,
    dry_run: Annotated[  # noqa: FBT002  (an option, by name)
        bool, typer.Option("--dry-run", help="Only show what would change, with change sets that are deleted again.")
    ] = False,
) -> None:
    """Create or update the stacks, and print their outputs.

    Without `--whole`, this deploys only the stacks that quotes flow through: stream, storage and processor. It is safe
    to run it again: it changes only what differs.

    A parameter that you do not name has the default of its template, whatever its value was before. So keep the
    parameters of a stage in a file. The templates in infra/cloudformation describe every parameter.
    """
    with _reported_errors():
        cpu = _cpu(architecture)
        overrides = {"Architecture": cpu, **_parameters(parameters_file, parameter or [])}
        if image is not None:
            overrides[IMAGE] = image
        deployment = _deployment(prefix, stage, ALL_STACKS if whole else PIPELINE)
        producer = ProducerImage(cpu)
        if whole and IMAGE not in overrides:
            producer.check_sources()
            if not dry_run:
                producer.check_docker()
        zips = {
            name: _build(FUNCTIONS[name], Target(architecture=cpu), rules)
            for name in deployment.stacks
            if name in FUNCTIONS
        }
        if dry_run:
            previews = deployment.preview(
                zips, overrides, image=lambda known: producer.uri(known.get("RepositoryUri", "new"))
            )
            for stack, changes in previews.items():
                echo(stack)
                for change in changes or ("nothing to change",):
                    echo(f"  {change}")
            return
        ecr = boto3.client("ecr") if whole else None
        outputs = deployment.deploy(
            zips, overrides, image=lambda known: producer.push(ecr, known["RepositoryUri"], deployment.report)
        )
        lines = [f"{name}={value}" for name, value in outputs.items()]
        if outputs_file is not None:
            outputs_file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        for line in lines:
            echo(line)


@app.command()
def destroy(prefix: PrefixOption = "stockstream", stage: StageOption = "dev") -> None:
    """Delete the stacks, except the tables and the archive, and print the names of what is kept.

    Records that the processor has not read yet are lost with the stream.
    """
    with _reported_errors():
        _deployment(prefix, stage, ALL_STACKS).destroy()


def _build(function: Function, target: Target, rules: Path | None, output: Path = STATE) -> Path:
    replaced = {RULES: checked_rules(rules)} if rules is not None and function is PROCESSOR else {}
    return build(function, target, output, replaced=replaced)


def _cpu(architecture: Literal["arm64", "x86_64", "native"]) -> Architecture:
    return Target.of_this_interpreter().architecture if architecture == "native" else architecture


def _parameters(file: Path | None, options: list[str]) -> dict[str, str]:
    """The parameters in a file, without comments and empty lines, and those of the command line, which win."""
    lines = [] if file is None else map(str.strip, _text(file).splitlines())
    of_file = [_pair(line, str(file)) for line in lines if line and not line.startswith("#")]
    return dict([*of_file, *(_pair(text, "--parameter") for text in options)])


def _text(file: Path) -> str:
    try:
        return decode_text(file.read_bytes())
    except NotUtf8 as error:
        raise typer.BadParameter(f"the file {error}", param_hint=str(file)) from error


def _pair(text: str, place: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint=place)
    return name, value


def _deployment(prefix: str, stage: str, stacks: tuple[str, ...]) -> Deployment:
    try:
        cloudformation, s3 = boto3.client("cloudformation"), boto3.client("s3")
    except ValueError as error:  # boto3 raises it for an endpoint that is not a URL
        raise DeploymentError(f"the AWS settings of the environment are wrong: {error}") from error
    return Deployment(
        cloudformation,
        s3,
        f"{prefix}-{stage}",
        lambda line: echo(line, err=True),
        stacks=stacks,
        tags={"application": prefix, "stage": stage},
    )


@contextmanager
def _reported_errors() -> Iterator[None]:
    """Turn an error that the user can fix into a message and exit status 1. Other errors keep their traceback."""
    try:
        yield
    except (DeploymentError, BotoCoreError) as error:
        echo_error(error)
        raise typer.Exit(1) from error
