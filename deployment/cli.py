"""The commands of `python -m deployment`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import boto3
import typer
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from configuration import ConfigurationError
from deployment import zones
from deployment.alert_rules import RULES, checked_rules, choose_rules
from deployment.cloudformation import parameters_of
from deployment.deployer import ARCHITECTURE, IMAGE, Deployment
from deployment.errors import DeploymentError, ParameterError
from deployment.functions import FUNCTIONS, PROCESSOR, Function
from deployment.image import ProducerImage
from deployment.package import Architecture, Target, build
from deployment.service_roles import make_ecs_role
from deployment.stacks import ALL_STACKS, PIPELINE
from deployment.stage_file import DEFAULT_RULES, read_wishes
from terminal.output import echo, echo_error
from terminal.program import called
from terminal.version import VersionOption
from workspace.places import STATE

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown")

LAMBDA = Target()
_PATIENT = Config(retries={"mode": "standard", "total_max_attempts": 10})
"""CloudFormation allows few requests a second, and others in the account may use them up. boto3 then tries again."""
_INTERRUPTED = 130
"""The exit status of a program that Ctrl-C has ended."""

_Cpu = Literal["arm64", "x86_64", "native"]
ArchitectureOption = Annotated[
    _Cpu | None,
    typer.Option(
        help="The CPU that the functions run on. `native` is that of this machine. [default: as deployed, or arm64]"
    ),
]
PrefixOption = Annotated[str, typer.Option(help="The first part of the names of the stacks.")]
RulesOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|default",
        help="A TOML file of alert rules that replaces the default rules, or the word `default`.",
    ),
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
    architecture: ArchitectureOption = None,
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
        target = Target(python=python, architecture=_cpu(architecture or LAMBDA.architecture))
        file = None if rules in (None, DEFAULT_RULES) else checked_rules(Path(rules))
        echo(str(_build(FUNCTIONS[function], target, file, output)))


@app.command(
    epilog=f"Example: `{called('deployment')} deploy --whole --stage prod --parameters-file infra/stages/prod.env "
    "--dry-run`"
)
def deploy(  # noqa: PLR0917  (options, by name)
    prefix: PrefixOption = "stockstream",
    stage: StageOption = "dev",
    architecture: ArchitectureOption = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A parameter of the templates. Repeat the option for more parameters."),
    ] = None,
    parameters_file: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="A file of parameters, one KEY=VALUE a line, such as infra/stages/dev.env. --parameter overrides it. "
            "Its line RULES=FILE names the alert rules.",
        ),
    ] = None,
    reset: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A parameter that gets its default again. Repeat the option for more."),
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
    yes: Annotated[  # noqa: FBT002  (an option, by name)
        bool, typer.Option("--yes", help="Do not ask before a deployment is changed. Without a terminal, nothing asks.")
    ] = False,
) -> None:
    """Create or update the stacks, and print their outputs.

    Without `--whole`, this deploys only the stacks that quotes flow through: stream, storage and processor. It is safe
    to run it again: it changes only what differs.

    A deployment keeps the parameters and the alert rules that it has, unless you name others. `--reset NAME` gives a
    parameter its default again, and `--rules default` the default rules. Before it changes anything, this prints the
    changes. The templates in infra/cloudformation describe every parameter.
    """
    with _reported_errors():
        wishes = read_wishes(parameters_file, parameter or [], rules)
        resets = frozenset(reset or ())
        deployment = _deployment(prefix, stage, ALL_STACKS if whole else PIPELINE)
        deployment.check(wishes.parameters, resets)
        overrides = {one.name: one.value for one in wishes.parameters}
        if image is not None:
            overrides[IMAGE] = image
        deployed = deployment.stack(PROCESSOR.name)
        held = {} if deployed is None else parameters_of(deployed)
        cpu = _chosen_cpu(architecture, overrides, {} if ARCHITECTURE in resets else held)
        overrides[ARCHITECTURE] = cpu
        producer = ProducerImage(cpu)
        if whole and IMAGE not in overrides:
            producer.check_sources()
            if not dry_run:
                producer.check_docker()
        overrides |= _zones_of_a_new_network(deployment, overrides)
        rules_file, rules_lines = choose_rules(
            deployment.s3, held, wishes.rules, STATE / f"rules-{prefix}-{stage}.toml"
        )
        zips = {
            name: _build(FUNCTIONS[name], Target(architecture=cpu), rules_file)
            for name in deployment.stacks
            if name in FUNCTIONS
        }
        previews = deployment.preview(
            zips,
            overrides,
            image=lambda known: producer.uri(known.get("RepositoryUri", "new")),
            reset=resets - {ARCHITECTURE},
            with_new_stacks=dry_run,
        )
        for line in (*(f"alert rules: {line}" for line in rules_lines), *_lines(previews)):
            echo(line, err=not dry_run)
        if dry_run:
            return
        changed = deployed is not None and (rules_lines or any(previews.values()))
        if changed and not yes and sys.stdin.isatty():
            typer.confirm("Deploy these changes?", abort=True, err=True)
        ecr = boto3.client("ecr") if whole else None
        if whole:
            make_ecs_role(boto3.client("iam"), deployment.report)
        outputs = deployment.deploy(
            zips,
            overrides,
            image=lambda known: producer.push(ecr, known["RepositoryUri"], deployment.report),
            reset=resets - {ARCHITECTURE},
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
    replaced = {RULES: rules} if rules is not None and function is PROCESSOR else {}
    return build(function, target, output, replaced=replaced)


def _zones_of_a_new_network(deployment: Deployment, overrides: Mapping[str, str]) -> Mapping[str, str]:
    """The parameter that names the zones, unless the user does, or there is a network, which keeps its zones."""
    if zones.NETWORK not in deployment.stacks or zones.ZONES in overrides or deployment.stack(zones.NETWORK):
        return {}
    return {zones.ZONES: zones.choose(boto3.client("ec2"))}


def _cpu(architecture: _Cpu) -> Architecture:
    return Target.of_this_interpreter().architecture if architecture == "native" else architecture


def _chosen_cpu(option: _Cpu | None, overrides: Mapping[str, str], held: Mapping[str, str]) -> Architecture:
    """The CPU that the user names as an option or a parameter; else the one that is deployed; else the default."""
    named = overrides.get(ARCHITECTURE)
    if option is not None:
        if named not in (None, _cpu(option)):
            raise ParameterError(
                f"--architecture / PACKAGE_ARCHITECTURE is {option}, but the parameter {ARCHITECTURE} is {named}"
            )
        return _cpu(option)
    chosen = named or held.get(ARCHITECTURE, LAMBDA.architecture)
    return "x86_64" if chosen == "x86_64" else "arm64"


def _lines(previews: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    for stack, changes in previews.items():
        yield stack
        yield from (f"  {change}" for change in changes or ("nothing to change",))


def _deployment(prefix: str, stage: str, stacks: tuple[str, ...]) -> Deployment:
    try:
        cloudformation, s3 = boto3.client("cloudformation", config=_PATIENT), boto3.client("s3")
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
    """Turn an error that the user can fix into a message and an exit status. Other errors keep their traceback."""
    try:
        yield
    except ParameterError as error:
        echo_error(error)
        raise typer.Exit(2) from error
    except (DeploymentError, ConfigurationError, BotoCoreError) as error:
        echo_error(error)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        echo_error("interrupted. Run the same command again: it waits for what is in progress, and completes the rest")
        raise typer.Exit(_INTERRUPTED) from error
