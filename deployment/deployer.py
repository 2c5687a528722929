"""Deploys stacks in order, on AWS or on an emulator, with CloudFormation alone.

Each template becomes one stack, named `<prefix>-<template>`. The outputs of a stack are parameters of later stacks,
matched by name, so no name is written twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from botocore.client import BaseClient

from deployment.buckets import empty
from deployment.cloudformation import (
    StackClient,
    Template,
    aws_errors_about,
    exists,
    outputs_of,
    parameter_changes,
    parameters_of,
)
from deployment.errors import DeploymentError, ParameterError, RolledBack
from deployment.functions import PROCESSOR
from deployment.guards import DELETION_PROTECTION, ONCE_CREATED
from deployment.latency import CHEAP, CONSUMER, CONSUMER_ARN, LATENCY, in_order, mode_of
from deployment.parameters import RELATED, Named, Parameter, contradictions, declared, mistakes
from deployment.placeholders import output_names, placeholder
from deployment.rollout import (
    NO_WATCH,
    RELEASE,
    WATCH_MINUTES,
    alarms_after_rollback,
    alarms_of,
    released,
    rollback_configuration,
)
from deployment.stack_events import rollback_reason
from deployment.stacks import ALL_STACKS, DRIFT, ON_REQUEST, PIPELINE, REGISTRY, TEMPLATES, Outputs
from deployment.state_versions import STATE_VERSION, Report, choose_for_zip
from deployment.waiting import Wait

MakeImage = Callable[[Outputs], str]
"""Makes an image, given the outputs of the stacks that exist, and returns its URI."""
BeforeStack = Callable[[Outputs], None]
"""What is done before a stack is created or updated, given the outputs of earlier stacks."""

CODE_KEY = "CodeKey"
"""The parameter of a function's template that names its zip in S3."""
ARCHITECTURE = "Architecture"
"""The parameter of the templates that names the CPU."""
STACK_PREFIX = "StackPrefix"
"""The parameter of a template that names the first part of the names of the stacks."""
IMAGE = "Image"
"""The parameter of the producer's template that names its image."""
HISTORY_IMAGE = "HistoryImage"
"""The parameter of the history's template that names its image."""
REPOSITORY_OF = {IMAGE: "ImageRepositoryArn", HISTORY_IMAGE: "HistoryImageRepositoryArn"}
"""The parameters that let ECS pull an image from another private repository, by the parameter that names the image."""

LANES = "Lanes"
"""The parameter of the producer's template that is the number of lanes."""

_EMPTIED_BUCKETS = frozenset({"Code", "Page", "Results"})
"""The buckets, by their names in the templates, that are emptied and deleted with their stack."""


@dataclass(frozen=True)
class Deployment:
    """The stacks of one prefix, in the account and region of the clients."""

    cloudformation: BaseClient
    s3: BaseClient
    prefix: str
    report: Callable[[str], None] = field(default=lambda _: None)
    """Called with a line of text for each step."""
    templates: Path = TEMPLATES
    """The folder of the templates."""
    stacks: tuple[str, ...] = PIPELINE
    """The templates to deploy, in order."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags for every resource that supports them. `stage` is missing on what all stages share."""
    shared_prefix: str | None = None
    """The prefix of the registry, which all stages share. None gives this prefix a registry of its own."""
    service_role: str | None = None
    """The ARN of the role with which CloudFormation changes resources. None stands for the caller's permissions."""
    cloudwatch: BaseClient | None = None
    """Finds the alarms that roll back a new release of the function. Without it, nothing watches a release."""
    watch_minutes: int = WATCH_MINUTES
    """How long the alarms watch a new release."""
    wait: Wait = field(default_factory=Wait)
    """How long to wait for each operation of CloudFormation."""

    def deploy(
        self,
        zips: Mapping[str, Path],
        overrides: Mapping[str, str] | None = None,
        *,
        images: Mapping[str, MakeImage] = MappingProxyType({}),
        reset: Collection[str] = (),
        before: Mapping[str, BeforeStack] | None = None,
    ) -> Outputs:
        """Create or update the stacks in order, and return all their outputs when they are complete.

        `zips` maps the name of a stack to the zip of its function. A zip is uploaded under a key that contains the hash
        of its content, so a function changes if and only if its code does. `overrides` are parameters of the templates;
        they take precedence over the outputs of earlier stacks. A parameter of neither keeps the value that its stack
        has, unless `reset` names it, which gives it its default. `images` make the images as soon as their registry
        exists, each by the parameter that names it, unless the overrides do. `before` has what is done before a stack
        is created or updated, with the outputs of earlier stacks. It is safe to run this again, also after a failure.
        Raises `DeploymentError`, and `RolledBack` if a new release of a function was rolled back.

        If the overrides name DeletionProtection, the termination protection of all stacks follows it.
        """
        values = self._checked(zips, overrides or {}, reset, lambda _: None)
        outputs: dict[str, str] = {}
        made: dict[str, str] = {}
        for name in in_order(self.stacks, values.get(LATENCY, CHEAP)):
            needed = self._parameters(name).keys() - values.keys()
            known = outputs | made | values
            if CODE_KEY in needed:
                known[CODE_KEY] = self._upload(name, _zip_of(name, zips), known)
            if before is not None and name in before:
                before[name](MappingProxyType(known))
            outputs |= self._put(name, self._template(name, known, reset))
            if name == REGISTRY:  # here, so that a build that fails leaves the other stacks as they are
                made |= {key: make(outputs) for key, make in images.items() if key not in values}
        if DELETION_PROTECTION in values:
            self._protect(protected=values[DELETION_PROTECTION] == "true")
        return MappingProxyType(outputs)

    def preview(
        self,
        zips: Mapping[str, Path],
        overrides: Mapping[str, str] | None = None,
        *,
        images: Mapping[str, MakeImage] = MappingProxyType({}),
        reset: Collection[str] = (),
        with_new_stacks: bool = True,
    ) -> Mapping[str, tuple[str, ...]]:
        """What `deploy` would change: for each stack, one line for each parameter and resource. Changes nothing.

        Without `with_new_stacks`, a stack that does not exist yet has one line, which says so.

        Here `images` only name the images. The outputs of a stack that does not exist yet are unknown, so changes that
        depend on them alone are missing. Raises `DeploymentError`.
        """
        values = self._checked(zips, overrides or {}, reset, self.report)
        outputs: dict[str, str] = {}
        existing: dict[str, str] = {}
        unknown: set[str] = set()
        previews: dict[str, tuple[str, ...]] = {}
        for name in in_order(self.stacks, values.get(LATENCY, CHEAP)):
            needed = self._parameters(name).keys() - values.keys()
            known = outputs | values
            if CODE_KEY in needed:
                known[CODE_KEY] = _key_of(name, _zip_of(name, zips))
            # A repository that is still to be made cannot be asked.
            known |= {key: make(existing) for key, make in images.items() if key in needed}
            stack_name, template = self._stack_name(name), self._template(name, known, reset)
            stack = self._client.find_at_rest(stack_name)
            if exists(stack):
                existing |= outputs_of(stack)
                changes = self._preview(stack_name, template, needed & unknown)
                previews[stack_name] = parameter_changes(stack, template) + changes
            elif with_new_stacks:
                previews[stack_name] = self._preview(stack_name, template, needed & unknown)
            else:
                previews[stack_name] = ("a new stack",)
            held = outputs_of(stack) if exists(stack) else {}
            placeholders = self._placeholders(template.body)
            outputs |= {**placeholders, **held}
            unknown |= placeholders.keys() - held.keys()
        return previews

    def _preview(self, stack_name: str, template: Template, unknown: Collection[str]) -> tuple[str, ...]:
        """What would change in a stack. `unknown` are its parameters whose values are placeholders."""
        try:
            return self._client.preview(stack_name, template)
        except DeploymentError as error:
            if not unknown:
                raise
            # A placeholder may be what CloudFormation refuses. The other stacks are still worth a look.
            note = f"CloudFormation refuses it, with placeholders for {', '.join(sorted(unknown))}:"
            return (note, *str(error).splitlines())

    def destroy(self) -> None:
        """Delete the stacks, last to first, and report the resources that their templates retain.

        Ignores stacks that do not exist. Raises `DeploymentError`.
        """
        for name in reversed(self.stacks):
            stack = self._client.find_at_rest(self._stack_name(name))
            if stack is None:
                continue
            if name == REGISTRY and (others := self._other_stages()):
                self.report(f"kept {stack['StackName']}, whose images the stages {', '.join(others)} use")
                continue
            resources = self._client.resources(stack)
            for bucket in _EMPTIED_BUCKETS & resources.keys():
                empty(self.s3, resources[bucket])  # CloudFormation deletes only empty buckets
            self._client.protect(stack, protected=False)
            self._client.delete(stack)

    def _put(self, name: str, template: Template) -> Outputs:
        """Create or update a stack. What has to be is done around it: protected tables, a watched release."""
        stack_name = self._stack_name(name)
        if template.values.get(DELETION_PROTECTION) == "true":
            self._create_unprotected(stack_name, template)
        if name == PROCESSOR.name and RELEASE in template.values:
            return self._release(name, template)
        return self._client.put(stack_name, template)

    def _create_unprotected(self, stack_name: str, template: Template) -> None:
        """Create a stack without protection if it is new, because a failed creation has to delete its tables again."""
        with aws_errors_about(stack_name):
            is_new = self._client.settle(stack_name) is None
        if is_new:
            unprotected = {**template.values, DELETION_PROTECTION: ONCE_CREATED}
            self._client.put(stack_name, replace(template, values=unprotected))

    def _release(self, name: str, template: Template) -> Outputs:
        """Put the stack of a function. The alarms watch the update if it brings a new release."""
        stack_name, release = self._stack_name(name), template.values[RELEASE]
        if (stack := self._at_rest(name)) is None:
            return self._client.put(stack_name, template)
        if parameters_of(stack).get(RELEASE) == release:
            return self._client.put(stack_name, replace(template, rollback=NO_WATCH))
        was_rolled_back = stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
        alarms = alarms_after_rollback(self._alarms, self.wait, self.report) if was_rolled_back else self._alarms()
        watched = rollback_configuration(alarms, self.watch_minutes, self.report)
        try:
            return self._client.put(stack_name, replace(template, rollback=watched))
        except DeploymentError as error:
            reason = rollback_reason(self.cloudformation, stack["StackId"])
            if reason is None:
                raise
            raise RolledBack(f"{error}\n  {stack_name} was rolled back: {reason}", release) from error

    def _alarms(self) -> list[Mapping[str, Any]]:
        """The alarms that watch a new release, which an earlier deployment has made."""
        observability = self.stack("observability")
        if self.cloudwatch is None or observability is None:
            return []
        return alarms_of(self.cloudwatch, outputs_of(observability))

    def _protect(self, *, protected: bool) -> None:
        for name in self.stacks:
            if not self._is_shared(name) and (stack := self.stack(name)) is not None:
                self._client.protect(stack, protected=protected)

    def _other_stages(self) -> list[str]:
        """The stages that share the registry with this one. Their stacks have the same tag `application`."""
        if self.shared_prefix is None:
            return []
        found = set()
        with aws_errors_about("the list of stacks"):
            for page in self.cloudformation.get_paginator("describe_stacks").paginate():
                for stack in page["Stacks"]:
                    tags = {tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])}
                    if tags.get("application") == self.tags.get("application") and "stage" in tags:
                        found.add(tags["stage"])
        return sorted(found - {self.tags.get("stage", "")})

    @property
    def _client(self) -> StackClient:
        return StackClient(self.cloudformation, self.report, self.wait)

    def check(self, named: Iterable[Named], reset: Collection[str] = ()) -> None:
        """Raise `ParameterError` with everything that is wrong with the user's parameters."""
        named = list(named)
        other = {name: self._parameters(name) for name in self._other_stacks()}
        known = {name: self._parameters(name) for name in self.stacks}
        if DRIFT in known:  # a stage that serves nothing for a while keeps the parameters in its file
            known |= {name: other.pop(name) for name in ON_REQUEST if name in other}
        found = mistakes(named, reset, known, other)
        values = {one.name: one.value for one in named}
        if not found:  # also what is deployed may contradict a default of this version
            related = RELATED - {LATENCY, CONSUMER_ARN} if CONSUMER in self.stacks else RELATED
            found = contradictions(self.will_be(related, values, reset))
        if found:
            raise ParameterError("\n".join(found))

    def _checked(
        self, zips: Mapping[str, Path], overrides: Outputs, reset: Collection[str], report: Report
    ) -> dict[str, str]:
        """The parameters to deploy with, also the mode and the version of lane states. Raises `DeploymentError`."""
        values = dict(overrides)
        self.check([Named(name, value) for name, value in values.items()], reset)
        if CONSUMER in self.stacks:
            # An interrupted deployment may have left another mode in other stacks than the function's.
            stack = None if LATENCY in reset else self.stack(PROCESSOR.name)
            values |= mode_of(values, {} if stack is None else parameters_of(stack))
        for name in (name for name in self.stacks if name in zips):
            held = {} if (stack := self._at_rest(name)) is None else parameters_of(stack)
            version = choose_for_zip(self.s3, held, zips[name], values.get(STATE_VERSION), report)
            if version is not None and STATE_VERSION in self._parameters(name):
                values[STATE_VERSION] = str(version)
        return values

    def will_be(
        self, names: frozenset[str], values: Mapping[str, str], reset: Collection[str]
    ) -> Mapping[str, str | None]:
        """The values that parameters will have: those given here, else those of their stacks, else their defaults."""
        will_be: dict[str, str | None] = {}
        for stack in self.stacks:
            parameters = self._parameters(stack)
            if needed := names & parameters.keys():
                found = self.stack(stack)
                held = {} if found is None else parameters_of(found)
                kept = {name: held[name] for name in needed & held.keys() - set(reset)}
                will_be |= {name: parameters[name].default for name in needed} | kept
        return will_be | {name: value for name, value in values.items() if name in will_be}

    def _other_stacks(self) -> list[str]:
        present = {path.stem for path in self.templates.glob("*.yaml")}
        return [name for name in (*ALL_STACKS, *ON_REQUEST) if name in present and name not in self.stacks]

    def stack(self, name: str) -> Mapping[str, Any] | None:
        """The stack of a template, as DescribeStacks returns it; None if it does not exist or was never complete."""
        found = self._client.find(self._stack_name(name))
        return found if exists(found) else None

    def _at_rest(self, name: str) -> Mapping[str, Any] | None:
        """As `stack`, after the operation that may be in progress has ended."""
        found = self._client.find_at_rest(self._stack_name(name))
        return found if exists(found) else None

    def is_there(self) -> bool:
        """Whether any stack of the deployment exists."""
        return any(self._client.find(self._stack_name(name)) is not None for name in self.stacks)

    def held(self) -> Mapping[str, str]:
        """The parameters of all stacks that exist. Parameters of the same name have the same value in all of them."""
        stacks = [self.stack(name) for name in self.stacks]
        return {key: value for stack in stacks if stack is not None for key, value in parameters_of(stack).items()}

    def value_of(self, name: str, named: Iterable[Named]) -> str | None:
        """The value that a parameter of a new stack gets; None if no stack of the deployment has it."""
        for stack in self.stacks:
            if (parameter := self._parameters(stack).get(name)) is not None:
                return next((one.value for one in named if one.name == name), parameter.default)
        return None

    def values(self, overrides: Mapping[str, str], reset: Collection[str]) -> Mapping[str, str]:
        """The parameters that the user names, or gives their defaults again."""
        defaults = {key: one.default for name in self.stacks for key, one in self._parameters(name).items()}
        return {name: default for name in reset if (default := defaults.get(name)) is not None} | dict(overrides)

    def _parameters(self, name: str) -> Mapping[str, Parameter]:
        return declared(self._body(name))

    def _template(self, name: str, known: Mapping[str, str], reset: Collection[str]) -> Template:
        names = self._parameters(name).keys()
        known = {STACK_PREFIX: self.prefix, **known}
        values = {key: known[key] for key in names & known.keys()}
        tags = {key: value for key, value in self.tags.items() if key != "stage" or not self._is_shared(name)}
        template = Template(self._body(name), values, tags, frozenset(names - set(reset)), None, self.service_role)
        if RELEASE in names:
            return released(template, self._at_rest(name), uuid4().hex[:6])
        return template

    def _upload(self, function: str, code: Path, known: Outputs) -> str:
        bucket, key = known["CodeBucket"], _key_of(function, code)
        with aws_errors_about(f"the upload of {code.name} to {bucket}"):
            self.s3.put_object(Bucket=bucket, Key=key, Body=code.read_bytes())
        self.report(f"uploaded {code.name}")
        return key

    def _placeholders(self, template: str) -> Outputs:
        """Values of the right shape for the outputs of a template, as long as its stack does not have them."""
        meta = self.cloudformation.meta
        return {name: placeholder(name, meta.partition, meta.region_name) for name in output_names(template)}

    def _stack_name(self, name: str) -> str:
        return f"{self.shared_prefix if self._is_shared(name) else self.prefix}-{name}"

    def _is_shared(self, name: str) -> bool:
        return name == REGISTRY and self.shared_prefix is not None

    def _body(self, name: str) -> str:
        return (self.templates / f"{name}.yaml").read_text(encoding="utf-8")


def _zip_of(stack: str, zips: Mapping[str, Path]) -> Path:
    if stack not in zips:
        raise DeploymentError(f"the stack {stack} needs the zip of its function, which was not given")
    return zips[stack]


def _key_of(function: str, code: Path) -> str:
    """The key of a zip in the code bucket, which contains the hash of its content."""
    return f"{function}/{hashlib.sha256(code.read_bytes()).hexdigest()}.zip"
