"""The commands of `python -m deployment`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import boto3
import typer
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from configuration import ConfigurationError
from deployment import zones
from deployment.adoption import Adopter, choose
from deployment.alert_rules import RulesChange, choose_rules
from deployment.cloudformation import outputs_of, parameters_of
from deployment.confirmation import Confirmation
from deployment.deployer import ARCHITECTURE, IMAGE, IMAGE_REPOSITORY, LANES, BeforeStack, Deployment
from deployment.errors import DeploymentError, ParameterError, RolledBack
from deployment.functions import FUNCTIONS, PROCESSOR
from deployment.guards import DELETION_PROTECTION, network_refusal, protection, stops
from deployment.image import ProducerImage, mark_in_use, repository_arn
from deployment.kept_resources import KEPT_OUTPUTS, STORAGE
from deployment.package import Architecture, Target, build
from deployment.place import Place, read_place
from deployment.rollout import WATCH_MINUTES
from deployment.service_roles import make_ecs_role
from deployment.stacks import ALL_STACKS, PIPELINE, REGISTRY
from deployment.stage_file import Wishes, read_wishes
from deployment.watchlist_object import WatchlistChange, choose_watchlist, stored_watchlist
from terminal.output import echo, echo_error
from terminal.program import called
from terminal.version import VersionOption
from workspace.places import STATE

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown")

LAMBDA = Target()
DEFAULT_PREFIX = "stockstream"
_PATIENT = Config(retries={"mode": "standard", "total_max_attempts": 6})
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
StageFileOption = Annotated[
    Path | None,
    typer.Option(
        "--parameters-file",
        exists=True,
        dir_okay=False,
        help="The file of the stage, such as infra/stages/dev.env. Each line is a KEY=VALUE: a parameter, which "
        "--parameter overrides; RULES=FILE, Symbols=A,B and WATCHLIST=FILE for the alert rules and the symbols; or the "
        "Account and Region of the stage, which are checked first.",
    ),
]
ConfirmOption = Annotated[
    str | None,
    typer.Option(
        metavar="STAGE", help="The name of the stage again. It confirms what deletes the stage or stops its stream."
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
        echo(str(build(FUNCTIONS[function], target, output)))


@app.command(
    epilog=f"Example: `{called('deployment')} deploy --whole --stage prod --parameters-file infra/stages/prod.env "
    "--dry-run`"
)
def deploy(  # noqa: PLR0917  (options, by name)
    prefix: PrefixOption = DEFAULT_PREFIX,
    stage: StageOption = "dev",
    architecture: ArchitectureOption = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A parameter of the templates. Repeat the option for more parameters."),
    ] = None,
    parameters_file: StageFileOption = None,
    reset: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A parameter that gets its default again. Repeat the option for more."),
    ] = None,
    outputs_file: Annotated[
        Path | None, typer.Option(help="Also write the outputs to this file, for other programs.")
    ] = None,
    rules: RulesOption = None,
    watchlist: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A TOML file of watch groups, for the symbols that are polled. --parameter Symbols=A,B names them "
            "without a file.",
        ),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(help="The URI of an image of the producer. By default, docker builds and pushes one."),
    ] = None,
    zip_file: Annotated[
        Path | None,
        typer.Option("--zip", exists=True, dir_okay=False, help="The zip of the function, built already by `package`."),
    ] = None,
    service_role: Annotated[
        str | None,
        typer.Option(
            metavar="ARN",
            help="The role with which CloudFormation changes resources. [default: that of the stack, or your own]",
        ),
    ] = None,
    whole: Annotated[  # noqa: FBT002  (an option, by name)
        bool, typer.Option("--whole", help="Deploy all stacks: also registry, network, producer, alarms and SQL.")
    ] = False,
    dry_run: Annotated[  # noqa: FBT002  (an option, by name)
        bool, typer.Option("--dry-run", help="Only show what would change, with change sets that are deleted again.")
    ] = False,
    watch_minutes: Annotated[
        int,
        typer.Option(
            min=0,
            max=20,
            help="How long alarms watch a new release of the function. If one fires, CloudFormation goes back to the "
            "release before.",
        ),
    ] = WATCH_MINUTES,
    existing_only: Annotated[  # noqa: FBT002  (an option, by name)
        bool,
        typer.Option(
            "--existing-only",
            help="With --dry-run, do not look into new stacks. It then needs no permission to delete a stack.",
        ),
    ] = False,
    yes: Annotated[  # noqa: FBT002  (an option, by name)
        bool,
        typer.Option(
            "--yes",
            help="Do not ask before an ordinary change. Without a terminal, only a change that stops the stream asks, "
            "and --confirm answers it.",
        ),
    ] = False,
    confirm: ConfirmOption = None,
    adopt: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|found|new",
            help="A table or an archive that a destroyed stage left, which the new stage adopts with everything in it. "
            "Repeat the option for more. `found` stands for all that is left, and `new` adopts nothing.",
        ),
    ] = None,
) -> None:
    """Create or update the stacks, and print their outputs.

    Without `--whole`, this deploys only the stacks that quotes flow through: stream, storage and processor. It is safe
    to run it again: it changes only what differs.

    A deployment keeps the parameters, the symbols and the alert rules that it has, unless you name others. `--reset
    NAME` gives a parameter its default again, and `--rules default` the default rules. Before it changes anything, this
    prints the changes. A change that stops the stream asks for the name of the stage. The templates in
    infra/cloudformation describe every parameter.
    """
    with _reported_errors():
        confirmation = Confirmation(stage, confirm, yes)
        wishes = read_wishes(parameters_file, parameter or [], rules, watchlist)
        resets = frozenset(reset or ())
        deployment = replace(
            _deployment(prefix, stage, ALL_STACKS if whole else PIPELINE),
            service_role=service_role,
            cloudwatch=boto3.client("cloudwatch"),
            watch_minutes=watch_minutes,
        )
        deployment.check(wishes.parameters, resets)
        place = _place_of(wishes, stage)
        advice = place.advice(wishes.place, stage)
        adopter = _adopter(deployment, place)
        adopted = choose(
            adopter,
            adopt or (),
            partial(confirmation.ask_to_adopt, dry_run=dry_run),
            is_there=deployment.stack(STORAGE) is not None,
            lanes=deployment.value_of(LANES, wishes.parameters),
        )
        deployed = deployment.stack(PROCESSOR.name)
        held = {} if deployed is None else parameters_of(deployed)
        overrides = {one.name: one.value for one in wishes.parameters}
        overrides |= _image_parameters(image, overrides, whole=whole)
        cpu = _chosen_cpu(architecture, overrides, {} if ARCHITECTURE in resets else held)
        overrides[ARCHITECTURE] = cpu
        overrides[DELETION_PROTECTION] = _chosen_protection(deployment, overrides, resets, stage)
        producer = ProducerImage(cpu)
        if whole and IMAGE not in overrides:
            producer.check_sources()
            if not dry_run:
                producer.check_docker()
        overrides |= _zones_of_a_new_network(deployment, overrides)
        alert_rules = _chosen_rules(deployment, held, wishes.rules)
        watched = _chosen_watchlist(deployment, wishes, overrides)
        zips = {
            name: zip_file or build(FUNCTIONS[name], Target(architecture=cpu))
            for name in deployment.stacks
            if name in FUNCTIONS
        }
        ecr = boto3.client("ecr") if whole else None
        previews = deployment.preview(
            zips,
            overrides,
            image=lambda known: producer.uri(ecr, known.get("RepositoryUri", "new")),
            reset=resets - {ARCHITECTURE, DELETION_PROTECTION},
            with_new_stacks=dry_run and not existing_only,
        )
        notes = (
            *(f"alert rules: {line}" for line in alert_rules.lines),
            *(f"watchlist: {line}" for line in watched.lines),
            *(f"adopts {one.name} as {one.resource}" for one in adopted),
        )
        for line in (*notes, *_lines(previews)):
            echo(line, err=not dry_run)
        stopping = _what_stops(deployment, previews, deployment.values(overrides, resets), stage)
        if dry_run:
            return
        changes = (alert_rules.lines, watched.lines, *previews.values())
        confirmation.ask_before(stopping, _question(place, is_new=deployed is None, advice=advice, changes=changes))
        if whole:
            make_ecs_role(boto3.client("iam"), deployment.report)
        before: dict[str, BeforeStack] = {
            PROCESSOR.name: lambda known: _write(deployment, known["ArchiveBucket"], alert_rules, watched)
        }
        if adopted:
            before[STORAGE] = lambda known: adopter.adopt(adopted, known["StreamName"])
        with _hint_at_replay(prefix, stage):
            outputs = deployment.deploy(
                zips,
                overrides,
                image=lambda known: producer.push(ecr, known["RepositoryUri"], deployment.report),
                reset=resets - {ARCHITECTURE, DELETION_PROTECTION},
                before=before,
            )
        if whole:
            repository = outputs["RepositoryUri"]
            mark_in_use(ecr, repository, overrides.get(IMAGE) or producer.uri(ecr, repository), stage)
        lines = [f"{name}={value}" for name, value in outputs.items()]
        if outputs_file is not None:
            outputs_file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        for line in lines:
            echo(line)


@app.command()
def image(
    prefix: PrefixOption = DEFAULT_PREFIX,
    stage: StageOption = "dev",
    architecture: ArchitectureOption = None,
    service_role: Annotated[
        str | None, typer.Option(metavar="ARN", help="The role with which CloudFormation changes resources.")
    ] = None,
) -> None:
    """Build the producer's image, push it to the registry, and print its URI with its digest.

    This creates the registry if there is none. Each stage can then deploy the same image: `deploy --image URI`.
    """
    with _reported_errors():
        producer = ProducerImage(_cpu(architecture or LAMBDA.architecture))
        producer.check_sources()
        producer.check_docker()
        deployment = replace(_deployment(prefix, stage, (REGISTRY,)), service_role=service_role)
        repository = deployment.deploy({})["RepositoryUri"]
        echo(producer.push(boto3.client("ecr"), repository, deployment.report))


@app.command()
def destroy(
    prefix: PrefixOption = DEFAULT_PREFIX,
    stage: StageOption = "dev",
    parameters_file: StageFileOption = None,
    confirm: ConfirmOption = None,
) -> None:
    """Delete the stacks, except the tables and the archive, and print the names of what is kept.

    This asks for the name of the stage. Records that the processor has not read yet are lost with the stream.
    """
    with _reported_errors():
        wishes = read_wishes(parameters_file)
        deployment = _deployment(prefix, stage, ALL_STACKS)
        place = _place_of(wishes, stage)
        if not deployment.is_there():
            echo(f"the stage {stage} has no stacks in {place}", err=True)
            return
        Confirmation(stage, confirm).ask_for_name(f"delete the stage {stage} in {place}")
        storage = deployment.stack(STORAGE)
        deployment.destroy()
        outputs = {} if storage is None else outputs_of(storage)
        if kept := [outputs[name] for name in KEPT_OUTPUTS if name in outputs]:
            echo("to deploy the stage again with them:", err=True)
            echo(f"  make deploy STAGE={stage} ADOPT='{' '.join(kept)}'", err=True)


def _what_stops(
    deployment: Deployment, previews: Mapping[str, tuple[str, ...]], wanted: Mapping[str, str], stage: str
) -> tuple[str, ...]:
    """What stops the stream, which this also prints. Raises `DeploymentError` if a change must not happen now."""
    held = deployment.held()
    network = previews.get(f"{deployment.prefix}-network", ())
    if refusal := network_refusal(network, held, wanted, stage):
        raise DeploymentError(refusal)
    stopping = stops(previews, held, wanted)
    for line in stopping:
        echo(f"this stops the stream: {line}", err=True)
    return stopping


def _question(place: Place, *, is_new: bool, advice: str, changes: Collection[tuple[str, ...]]) -> str:
    """What to ask before a deployment; empty if nothing changes, or a new stage is where its file says."""
    if is_new:
        return f"Create a new stage in {place}?" if advice else ""
    return "Deploy these changes?" if any(changes) else ""


def _adopter(deployment: Deployment, place: Place) -> Adopter:
    return Adopter(
        deployment.cloudformation,
        boto3.client("dynamodb"),
        deployment.s3,
        place,
        f"{deployment.prefix}-{STORAGE}",
        deployment.report,
        deployment.service_role,
    )


def _place_of(wishes: Wishes, stage: str) -> Place:
    """The account and region of the environment, which this prints. Raises `ParameterError` if the stage has others."""
    place = read_place(boto3.client("sts"))
    if problem := place.problem(wishes.place):
        raise ParameterError(problem)
    echo(f"stage {stage}, {place}", err=True)
    if advice := place.advice(wishes.place, stage):
        echo(advice, err=True)
    return place


def _chosen_watchlist(deployment: Deployment, wishes: Wishes, overrides: Mapping[str, str]) -> WatchlistChange:
    producer = deployment.stack("producer")
    held = {} if producer is None else parameters_of(producer)
    chosen = choose_watchlist(stored_watchlist(deployment.s3, _archive(deployment)), wishes, overrides, held)
    for note in chosen.notes:
        echo(f"watchlist: note: {note}", err=True)
    return chosen


def _chosen_rules(deployment: Deployment, held: Mapping[str, str], wish: str | None) -> RulesChange:
    return choose_rules(deployment.s3, _archive(deployment), held, wish)


def _archive(deployment: Deployment) -> str | None:
    storage = deployment.stack("storage")
    return None if storage is None else outputs_of(storage).get("ArchiveBucket")


def _write(deployment: Deployment, bucket: str, *changes: RulesChange | WatchlistChange) -> None:
    """Write the alert rules and the watchlist as soon as their bucket exists, before a program reads them."""
    for change in changes:
        if address := change.write(deployment.s3, bucket):
            deployment.report(f"wrote {address}")


def _image_parameters(option: str | None, overrides: Mapping[str, str], *, whole: bool) -> dict[str, str]:
    """The parameters that name the image. ECS may pull it from its own private repository, which its URI names."""
    image = overrides.get(IMAGE) if option is None else option
    named = {} if image is None else {IMAGE: image}
    if whole and IMAGE_REPOSITORY not in overrides:
        named[IMAGE_REPOSITORY] = repository_arn(image or "") or ""
    return named


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


def _chosen_protection(
    deployment: Deployment, overrides: Mapping[str, str], resets: Collection[str], stage: str
) -> str:
    held = {} if DELETION_PROTECTION in resets else deployment.held()
    return protection(overrides.get(DELETION_PROTECTION), held.get(DELETION_PROTECTION), stage)


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
        shared_prefix=prefix,
    )


@contextmanager
def _hint_at_replay(prefix: str, stage: str) -> Iterator[None]:
    """Say how to put back what a release quarantined before it was rolled back."""
    try:
        yield
    except RolledBack as error:
        replay = f"{called('operations')} quarantine replay --all --release {error.release} --stage {stage}"
        prefixed = "" if prefix == DEFAULT_PREFIX else f" --stack-prefix {prefix}"
        raise DeploymentError(
            f"{error}\nThe function is the one before again, and goes on where the new one stopped. The stacks after "
            f"it were not changed. If the new one put lines into quarantine, put them back:\n  {replay}{prefixed}"
        ) from error


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
