"""The parameters of a deployment: those that the user names, and those that follow from what is deployed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Literal, cast

import boto3

from deployment import zones
from deployment.cloudformation import parameters_of
from deployment.deployer import ARCHITECTURE, IMAGE, REPOSITORY_OF, Deployment
from deployment.errors import ParameterError
from deployment.functions import FUNCTIONS
from deployment.guards import DELETION_PROTECTION, protection
from deployment.image import repository_arn
from deployment.package import Architecture, Target
from deployment.parameters import Named, Parameter, declared
from deployment.stacks import REGISTRY

Cpu = Literal["arm64", "x86_64", "native"]
"""What a user can name as the CPU. `native` is that of this machine."""
CHOSEN = frozenset({ARCHITECTURE, DELETION_PROTECTION, *REPOSITORY_OF.values(), zones.ZONES})
"""The parameters that are chosen here. To reset one is to choose it as in a new stage."""


def zips_of(paths: Iterable[Path]) -> dict[str, Path]:
    """The zips that the user names, by function. Raises `ParameterError` if a name does not begin with a function's."""
    zips = {}
    for path in paths:
        name = path.name.partition("-")[0]
        if name not in FUNCTIONS:
            raise ParameterError(
                f"--zip {path}: its name does not begin with the name of a function and a hyphen, as those of "
                f"`package` do; the functions are {', '.join(FUNCTIONS)}"
            )
        zips[name] = path
    return zips


def choose_parameters(
    deployment: Deployment,
    named: Collection[Named],
    reset: Collection[str],
    *,
    stage: str,
    cpu: Cpu | None,
    image: str | None,
) -> dict[str, str]:
    """The parameters to deploy with. `cpu` and `image` are options of the command line. Raises `ParameterError`."""
    held = deployment.held()
    values = _carried_over(deployment, CHOSEN.union(reset)) | {one.name: one.value for one in named}
    values[ARCHITECTURE] = _chosen_cpu(cpu, values.get(ARCHITECTURE), _kept(ARCHITECTURE, held, reset))
    kept = _kept(DELETION_PROTECTION, held, reset)
    values[DELETION_PROTECTION] = protection(values.get(DELETION_PROTECTION), kept, stage)
    if REGISTRY in deployment.stacks:
        values |= _image_parameters(values if image is None else {**values, IMAGE: image})
    if zones.ZONES not in values and _chooses_zones(deployment, reset):
        values[zones.ZONES] = zones.choose(boto3.client("ec2"))
    return values


def carried_over(
    templates: Mapping[str, Mapping[str, Parameter]], held: Mapping[str, Mapping[str, str]], without: Collection[str]
) -> dict[str, str]:
    """The values that a stage has for parameters that are new in one of its stacks, as all are in a new stack. Pure.

    `templates` has the parameters of each template, and `held` those of each stack that exists. A parameter without a
    default comes from another stack, so its value is not carried over.
    """
    of_stage = {name: value for values in held.values() for name, value in values.items() if name not in without}
    return {
        name: of_stage[name]
        for stack, parameters in templates.items()
        for name, parameter in parameters.items()
        if parameter.default is not None and name in of_stage and name not in held.get(stack, {})
    }


def architecture_of(cpu: Cpu) -> Architecture:
    """The CPU that a word of the user stands for."""
    return Target.of_this_interpreter().architecture if cpu == "native" else cpu


def _carried_over(deployment: Deployment, without: Collection[str]) -> dict[str, str]:
    stacks = {name: deployment.stack(name) for name in deployment.stacks}
    held = {name: parameters_of(stack) for name, stack in stacks.items() if stack is not None}
    texts = {name: (deployment.templates / f"{name}.yaml").read_text(encoding="utf-8") for name in deployment.stacks}
    return carried_over({name: declared(text) for name, text in texts.items()}, held, without)


def _chooses_zones(deployment: Deployment, reset: Collection[str]) -> bool:
    """Whether the network is new, or its zones are reset. Otherwise, it keeps its zones."""
    if zones.NETWORK not in deployment.stacks:
        return False
    return zones.ZONES in reset or deployment.stack(zones.NETWORK) is None


def _kept(name: str, held: Mapping[str, str], reset: Collection[str]) -> str | None:
    return None if name in reset else held.get(name)


def _chosen_cpu(option: Cpu | None, named: str | None, held: str | None) -> Architecture:
    """The CPU that the user names as an option or a parameter; else the one that is deployed; else the default."""
    if option is None:
        return cast(Architecture, named or held or Target().architecture)
    if named not in (None, architecture_of(option)):
        raise ParameterError(
            f"--architecture / PACKAGE_ARCHITECTURE is {option}, but the parameter {ARCHITECTURE} is {named}"
        )
    return architecture_of(option)


def _image_parameters(named: Mapping[str, str]) -> dict[str, str]:
    """The parameters that name images. ECS may pull one from its own private repository, which its URI names."""
    found = {name: named[name] for name in REPOSITORY_OF if name in named}
    for name, repository in REPOSITORY_OF.items():
        if repository not in named:
            found[repository] = repository_arn(named.get(name, "")) or ""
    return found
