"""The commands of `python -m deployment`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Literal, cast

import boto3
import typer
from botocore.config import Config

from deployment.adoption import Adopter, choose
from deployment.choices import CHOSEN, Cpu, architecture_of, choose_parameters, zips_of
from deployment.cloudformation import outputs_of
from deployment.compacted_views import without_compacted_views
from deployment.confirmation import Confirmation
from deployment.deployer import ARCHITECTURE, LANES, BeforeStack, Deployment
from deployment.errors import DeploymentError, ParameterError
from deployment.functions import FUNCTIONS, PROCESSOR
from deployment.image import IMAGES, ContainerImage
from deployment.images import images_of, pushed, unmark
from deployment.kept_resources import KEPT_OUTPUTS, STORAGE
from deployment.package import Target, build
from deployment.place import Place, read_place
from deployment.reported_errors import DEFAULT_PREFIX, hint_at_replay, reported_errors
from deployment.review import lines_of, question_before, what_stops
from deployment.rollout import WATCH_MINUTES
from deployment.service_roles import make_ecs_role
from deployment.serving import choose_serving
from deployment.stacks import ALL_STACKS, ON_REQUEST, PIPELINE, REGISTRY, Outputs
from deployment.stage_file import Wishes, read_wishes
from deployment.stage_objects import choose_objects
from terminal.output import echo
from terminal.program import called
from terminal.version import VersionOption
from workspace.places import STATE

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown")

LAMBDA = Target()
_PATIENT = Config(retries={"mode": "standard", "total_max_attempts": 6})
"""CloudFormation allows few requests a second, and others in the account may use them up. boto3 then tries again."""

_CPU = "The CPU that the function and the producer run on. `native` is that of this machine."
ArchitectureOption = Annotated[Cpu, typer.Option(help=_CPU)]
DeployedArchitectureOption = Annotated[Cpu | None, typer.Option(help=f"{_CPU} [default: as deployed, or arm64]")]
PrefixOption = Annotated[str, typer.Option(help="The first part of the names of the stacks.")]
RulesOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|default",
        help="A TOML file of alert rules that replaces those of the stage, or the word `default`.",
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
    function: Annotated[
        str | None, typer.Argument(help=f"One function: {', '.join(FUNCTIONS)}. [default: all]", show_default=False)
    ] = None,
    python: Annotated[str, typer.Option(help="The minor version of Python.")] = LAMBDA.python,
    architecture: ArchitectureOption = LAMBDA.architecture,
    output: Annotated[Path, typer.Option(help="The directory of the zip.", show_default="build")] = STATE,
) -> None:
    """Build the zips of the Lambda functions, and print their paths.

    The same source gives the same zip, byte for byte. `deploy` builds the zips itself.
    """
    if function is not None and function not in FUNCTIONS:
        raise typer.BadParameter(
            f"there is no function {function!r}; the functions are: {', '.join(FUNCTIONS)}", param_hint="FUNCTION"
        )
    with reported_errors():
        target = Target(python=python, architecture=architecture_of(architecture))
        for name in FUNCTIONS if function is None else (function,):
            echo(str(build(FUNCTIONS[name], target, output)))


@app.command(
    epilog=f"Example: `{called('deployment')} deploy --whole --stage prod --parameters-file infra/stages/prod.env "
    "--dry-run`"
)
def deploy(  # noqa: PLR0917  (options, by name)
    prefix: PrefixOption = DEFAULT_PREFIX,
    stage: StageOption = "dev",
    architecture: DeployedArchitectureOption = None,
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
        typer.Option(
            help="The URI of an image of the producer. By default, docker builds and pushes one. That of the history's "
            "tasks is the parameter HistoryImage."
        ),
    ] = None,
    zip_file: Annotated[
        list[Path] | None,
        typer.Option(
            "--zip",
            exists=True,
            dir_okay=False,
            help="The zip of a function, built already by `package`. Its name begins with the function's. Repeat the "
            "option for more. The deployment builds the others.",
        ),
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

    Without `--whole`, this deploys only stream, storage, processor and query: the stacks that quotes flow through, and
    the function that answers queries. It is safe to run it again: it changes only what differs.

    A deployment keeps the parameters, the symbols and the alert rules that it has, unless you name others. `--reset
    NAME` gives a parameter its default again, and `--rules default` the default rules. Before it changes anything, this
    prints the changes. A change that stops the stream asks for the name of the stage. The templates in
    infra/cloudformation describe every parameter.
    """
    with reported_errors():
        confirmation = Confirmation(stage, confirm, yes)
        wishes = read_wishes(parameters_file, parameter or [], rules, watchlist)
        resets = frozenset(reset or ())
        deployment = _deployment(prefix, stage, ALL_STACKS if whole else PIPELINE, service_role, watch_minutes)
        serving = choose_serving(deployment, wishes.parameters, resets, stage)
        deployment = without_compacted_views(serving.deployment, partial(boto3.client, "glue"))
        deployment.check(wishes.parameters, resets)
        serving.check()
        place = _place_of(wishes, stage)
        adopter = _adopter(deployment, place)
        adopted = choose(
            adopter,
            adopt or (),
            partial(confirmation.ask_to_adopt, dry_run=dry_run),
            is_there=deployment.stack(STORAGE) is not None,
            lanes=deployment.value_of(LANES, wishes.parameters),
        )
        parameters = choose_parameters(
            deployment, wishes.parameters, resets, stage=stage, cpu=architecture, image=image
        )
        resets -= CHOSEN
        target = Target(architecture=architecture_of(cast(Cpu, parameters[ARCHITECTURE])))
        images = images_of(deployment, target.architecture, parameters, resets)
        of_history, note = images.of_history(parameters, deployment.held(), resets)
        parameters |= of_history
        if note:
            echo(note, err=True)
        images.check(parameters, docker=not dry_run)
        objects = choose_objects(deployment, wishes, parameters, adopted)
        built = zips_of(zip_file or ())
        zips = {
            name: built.get(name) or build(FUNCTIONS[name], target) for name in deployment.stacks if name in FUNCTIONS
        }
        ecr = boto3.client("ecr") if whole else None
        previews = deployment.preview(
            zips,
            parameters,
            images=images.names(ecr),
            reset=resets,
            with_new_stacks=dry_run and not existing_only,
        )
        previews = {**previews, **serving.changes}
        for line in (*objects.notes, *serving.notes):
            echo(line, err=True)
        for line in (*objects.lines, *(f"adopts {one.name} as {one.resource}" for one in adopted), *lines_of(previews)):
            echo(line, err=not dry_run)
        stopping = what_stops(deployment, previews, deployment.values(parameters, resets), stage)
        if dry_run:
            return
        question = question_before(
            place,
            is_new=deployment.stack(PROCESSOR.name) is None,
            advice=place.advice(wishes.place, stage),
            changes=(objects.lines, *previews.values()),
        )
        confirmation.ask_before(stopping, question)
        if whole:
            make_ecs_role(boto3.client("iam"), deployment.report)
        before: dict[str, BeforeStack] = {PROCESSOR.name: objects.write}
        if adopted:
            before[STORAGE] = lambda known: adopter.adopt(adopted, known["StreamName"])
        with hint_at_replay(prefix, stage):
            outputs = deployment.deploy(
                zips,
                parameters,
                images=images.builds(ecr, deployment.report),
                reset=resets,
                before=before,
            )
        serving.complete(outputs)
        images.mark(ecr, outputs, parameters, stage)
        _give(outputs, outputs_file)


@app.command()
def image(
    prefix: PrefixOption = DEFAULT_PREFIX,
    stage: StageOption = "dev",
    architecture: ArchitectureOption = LAMBDA.architecture,
    service_role: Annotated[
        str | None, typer.Option(metavar="ARN", help="The role with which CloudFormation changes resources.")
    ] = None,
    of: Annotated[
        Literal["producer", "operations"],
        typer.Option("--of", help="Which image: that of the producer, or that of the history's tasks."),
    ] = "producer",
) -> None:
    """Build an image, push it to the registry, and print its URI with its digest.

    This creates the registry if there is none. Each stage can then deploy the same images: `deploy --image URI
    --parameter HistoryImage=URI`.
    """
    with reported_errors():
        built = ContainerImage(architecture_of(architecture), contents=IMAGES[of])
        built.check_sources()
        built.check_docker()
        deployment = _deployment(prefix, stage, (REGISTRY,), service_role)
        echo(pushed(built, boto3.client("ecr"), deployment.report, deployment.deploy({})))


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
    with reported_errors():
        wishes = read_wishes(parameters_file)
        deployment = _deployment(prefix, stage, (*ALL_STACKS, *ON_REQUEST))
        place = _place_of(wishes, stage)
        if not deployment.is_there():
            echo(f"the stage {stage} has no stacks in {place}", err=True)
            return
        Confirmation(stage, confirm).ask_for_name(f"delete the stage {stage} in {place}")
        storage = deployment.stack(STORAGE)
        deployment.destroy()
        if (registry := deployment.stack(REGISTRY)) is not None:  # other stages use it
            unmark(boto3.client("ecr"), outputs_of(registry), stage)
        outputs = {} if storage is None else outputs_of(storage)
        if kept := [outputs[name] for name in KEPT_OUTPUTS if name in outputs]:
            echo("to deploy the stage again with them:", err=True)
            echo(f"  make deploy STAGE={stage} ADOPT='{' '.join(kept)}'", err=True)


def _give(outputs: Outputs, file: Path | None) -> None:
    """Print the outputs, and write them to a file for other programs."""
    lines = [f"{name}={value}" for name, value in outputs.items()]
    if file is not None:
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    for line in lines:
        echo(line)


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


def _deployment(
    prefix: str,
    stage: str,
    stacks: tuple[str, ...],
    service_role: str | None = None,
    watch_minutes: int = WATCH_MINUTES,
) -> Deployment:
    try:
        cloudformation, s3 = boto3.client("cloudformation", config=_PATIENT), boto3.client("s3")
        cloudwatch = boto3.client("cloudwatch")
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
        service_role=service_role,
        cloudwatch=cloudwatch,
        watch_minutes=watch_minutes,
    )
