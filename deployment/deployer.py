"""Deploys stacks in order, on AWS or on an emulator, with CloudFormation alone.

Each template becomes one stack, named `<prefix>-<template>`. The outputs of a stack are parameters of later stacks,
matched by name, so no name is written twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from botocore.client import BaseClient

from deployment.cloudformation import (
    StackClient,
    Template,
    aws_errors_about,
    exists,
    outputs_of,
    parameter_changes,
    parameters_of,
)
from deployment.errors import DeploymentError, ParameterError
from deployment.parameters import RELATED, Named, Parameter, contradictions, declared, mistakes
from deployment.placeholders import output_names, placeholder
from deployment.stacks import ALL_STACKS, PIPELINE, TEMPLATES, Outputs
from deployment.waiting import Wait

MakeImage = Callable[[Outputs], str]
"""Makes the producer's image, given the outputs of earlier stacks, and returns its URI."""

CODE_KEY = "CodeKey"
"""The parameter of a function's template that names its zip in S3."""
ARCHITECTURE = "Architecture"
"""The parameter of the templates that names the CPU."""
STACK_PREFIX = "StackPrefix"
"""The parameter of a template that names the first part of the names of the stacks."""
IMAGE = "Image"
"""The parameter of the producer's template that names its image."""

_EMPTIED_BUCKETS = frozenset({"Code", "Results"})
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
    """Tags for every resource that supports them."""
    wait: Wait = field(default_factory=Wait)
    """How long to wait for each operation of CloudFormation."""

    def deploy(
        self,
        zips: Mapping[str, Path],
        overrides: Mapping[str, str] | None = None,
        *,
        image: MakeImage | None = None,
        reset: Collection[str] = (),
    ) -> Outputs:
        """Create or update the stacks in order, and return all their outputs when they are complete.

        `zips` maps the name of a stack to the zip of its function. A zip is uploaded under a key that contains the hash
        of its content, so a function changes if and only if its code does. `overrides` are parameters of the templates;
        they take precedence over the outputs of earlier stacks. A parameter of neither keeps the value that its stack
        has, unless `reset` names it, which gives it its default. `image` makes the producer's image, unless the
        overrides name one. It is safe to run this again, also after a failure. Raises `DeploymentError`.
        """
        values = dict(overrides or {})
        self.check([Named(name, value) for name, value in values.items()], reset)
        outputs: dict[str, str] = {}
        for name in self.stacks:
            needed = self._parameters(name).keys() - values.keys()
            known = outputs | values
            if CODE_KEY in needed:
                known[CODE_KEY] = self._upload(name, _zip_of(name, zips), known)
            if image is not None and IMAGE in needed:
                known[IMAGE] = image(known)
            outputs |= self._client.put(self._stack_name(name), self._template(name, known, reset))
        return MappingProxyType(outputs)

    def preview(
        self,
        zips: Mapping[str, Path],
        overrides: Mapping[str, str] | None = None,
        *,
        image: MakeImage | None = None,
        reset: Collection[str] = (),
        with_new_stacks: bool = True,
    ) -> Mapping[str, tuple[str, ...]]:
        """What `deploy` would change: for each stack, one line for each parameter and resource. Changes nothing.

        Without `with_new_stacks`, a stack that does not exist yet has one line, which says so.

        Here `image` only names the image. The outputs of a stack that does not exist yet are unknown, so changes that
        depend on them alone are missing. Raises `DeploymentError`.
        """
        values = dict(overrides or {})
        self.check([Named(name, value) for name, value in values.items()], reset)
        outputs: dict[str, str] = {}
        previews: dict[str, tuple[str, ...]] = {}
        for name in self.stacks:
            needed = self._parameters(name).keys() - values.keys()
            known = outputs | values
            if CODE_KEY in needed:
                known[CODE_KEY] = _key_of(name, _zip_of(name, zips))
            if image is not None and IMAGE in needed:
                known[IMAGE] = image(known)
            stack_name, template = self._stack_name(name), self._template(name, known, reset)
            stack = self._client.find_at_rest(stack_name)
            if exists(stack):
                previews[stack_name] = parameter_changes(stack, template)
            if exists(stack) or with_new_stacks:
                previews[stack_name] = previews.get(stack_name, ()) + self._client.preview(stack_name, template)
            else:
                previews[stack_name] = ("a new stack",)
            outputs |= self._placeholders(template.body)
            if exists(stack):
                outputs |= outputs_of(stack)
        return previews

    def destroy(self) -> None:
        """Delete the stacks, last to first, and report the resources that their templates retain.

        Ignores stacks that do not exist. Raises `DeploymentError`.
        """
        for name in reversed(self.stacks):
            stack = self._client.find_at_rest(self._stack_name(name))
            if stack is None:
                continue
            resources = self._client.resources(stack)
            for bucket in _EMPTIED_BUCKETS & resources.keys():
                self._empty(resources[bucket])  # CloudFormation deletes only empty buckets
            self._client.delete(stack)

    @property
    def _client(self) -> StackClient:
        return StackClient(self.cloudformation, self.report, self.wait)

    def check(self, named: Iterable[Named], reset: Collection[str] = ()) -> None:
        """Raise `ParameterError` with everything that is wrong with the user's parameters."""
        named = list(named)
        other = {name: self._parameters(name) for name in self._other_stacks()}
        found = mistakes(named, reset, {name: self._parameters(name) for name in self.stacks}, other)
        values = {one.name: one.value for one in named}
        if not found and RELATED & {*values, *reset}:
            found = contradictions(self._values_of(RELATED, values, reset))
        if found:
            raise ParameterError("\n".join(found))

    def _values_of(
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
        return {**will_be, **values}

    def _other_stacks(self) -> list[str]:
        present = {path.stem for path in self.templates.glob("*.yaml")}
        return [name for name in ALL_STACKS if name in present and name not in self.stacks]

    def stack(self, name: str) -> Mapping[str, Any] | None:
        """The stack of a template, as DescribeStacks returns it; None if it does not exist or was never complete."""
        found = self._client.find(self._stack_name(name))
        return found if exists(found) else None

    def _parameters(self, name: str) -> Mapping[str, Parameter]:
        return declared(self._body(name))

    def _template(self, name: str, known: Mapping[str, str], reset: Collection[str]) -> Template:
        names = self._parameters(name).keys()
        known = {STACK_PREFIX: self.prefix, **known}
        values = {key: known[key] for key in names & known.keys()}
        return Template(self._body(name), values, self.tags, frozenset(names - set(reset)))

    def _upload(self, function: str, code: Path, known: Outputs) -> str:
        bucket, key = known["CodeBucket"], _key_of(function, code)
        with aws_errors_about(f"the upload of {code.name} to {bucket}"):
            self.s3.put_object(Bucket=bucket, Key=key, Body=code.read_bytes())
        self.report(f"uploaded {code.name}")
        return key

    def _empty(self, bucket: str) -> None:
        with aws_errors_about(f"emptying {bucket}"):
            try:
                for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                    keys = [{"Key": listed["Key"]} for listed in page.get("Contents", [])]
                    if keys:
                        self.s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
            except self.s3.exceptions.NoSuchBucket:
                pass  # an earlier deletion of the stack has deleted it

    def _placeholders(self, template: str) -> Outputs:
        """Values of the right shape for the outputs of a template, as long as its stack does not have them."""
        meta = self.cloudformation.meta
        return {name: placeholder(name, meta.partition, meta.region_name) for name in output_names(template)}

    def _stack_name(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def _body(self, name: str) -> str:
        return (self.templates / f"{name}.yaml").read_text(encoding="utf-8")


def _zip_of(stack: str, zips: Mapping[str, Path]) -> Path:
    if stack not in zips:
        raise DeploymentError(f"the stack {stack} needs the zip of its function, which was not given")
    return zips[stack]


def _key_of(function: str, code: Path) -> str:
    """The key of a zip in the code bucket, which contains the hash of its content."""
    return f"{function}/{hashlib.sha256(code.read_bytes()).hexdigest()}.zip"
