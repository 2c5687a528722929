"""Deploys the templates of infra/cloudformation, to AWS and to any emulator of it, with CloudFormation alone.

Each template is one stack, `<prefix>-stream` and so on. The outputs of a stack are parameters of the later ones,
matched by name: no name is written down twice.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType

from botocore.client import BaseClient

from replica.errors import DeploymentError
from replica.package import ROOT
from replica.stacks import Outputs, Stacks, Template, outputs_of, refusal

TEMPLATES = ROOT / "infra" / "cloudformation"

PIPELINE = ("stream", "storage", "processor")
"""What quotes flow through: all that the replica needs, since it runs its own producer."""
WHOLE = (
    "registry",
    *PIPELINE,
    "analytics",
    "views",
    "queries",
    "operators",
    "observability",
    "network",
    "producer",
    "producer-alarms",
)
"""Everything, in the order in which it is deployed: the processor before the producer, as the wire's rule is."""

Make = Callable[[Outputs], str]
"""Makes what a parameter names, from the outputs of earlier stacks, and returns the parameter's value."""

_DISPOSABLE_BUCKETS = ("CodeBucket", "ResultsBucket")
_NOT_YET = "of-a-stack-that-is-not-there-yet"


@dataclass(frozen=True)
class Deployment:
    """The stacks of one prefix, in the account and region of the clients."""

    cloudformation: BaseClient
    s3: BaseClient
    prefix: str
    report: Callable[[str], None] = field(default=lambda _: None)
    """Is told each step, in a line."""
    templates: Path = TEMPLATES
    stacks: tuple[str, ...] = PIPELINE
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of every resource that takes any."""

    def deploy(
        self, package: Path, overrides: Mapping[str, str] | None = None, *, image: Make | None = None
    ) -> Outputs:
        """Create the stacks, or update those that differ, in order; return when all of them are as asked.

        `overrides` are parameters of the templates that shall not have their defaults; they win over outputs of earlier
        stacks. `package` is uploaded under a key that names its content, so the function changes if and only if its
        code did; `image` makes the producer's image, where a stack asks for one that the overrides do not name. Running
        it again is safe, also after a failure. Raises `DeploymentError`.
        """
        values = dict(overrides or {})
        self._refuse_unknown(values)
        made: dict[str, Make] = {"CodeKey": partial(self._upload, package)}
        if image is not None:
            made["Image"] = image
        outputs: dict[str, str] = {}
        for name in self.stacks:
            declared = self._parameters(name)
            for parameter in sorted(declared & made.keys() - values.keys()):
                values[parameter] = made[parameter](outputs | values)
            outputs |= self._stacks.put(self._stack_name(name), self._template(name, declared, outputs | values))
        return MappingProxyType(outputs)

    def preview(
        self, package: Path, overrides: Mapping[str, str] | None = None, *, image: Make | None = None
    ) -> Mapping[str, tuple[str, ...]]:
        """What `deploy` would change, a line for each resource, by stack. Changes nothing. Raises `DeploymentError`.

        `image` only names here what it would make. What a stack that does not exist yet will put out is not known: a
        change that hangs on that alone is not seen.
        """
        overrides = dict(overrides or {})
        self._refuse_unknown(overrides)
        known = {"CodeKey": _key_of(package)}
        previews: dict[str, tuple[str, ...]] = {}
        for name in self.stacks:
            declared = self._parameters(name)
            if image is not None and "Image" in declared - overrides.keys():
                known["Image"] = image(known | overrides)
            stack_name = self._stack_name(name)
            template = self._template(name, declared, known | overrides)
            previews[stack_name] = self._stacks.preview(stack_name, template)
            stack = self._stacks.described(stack_name)
            known |= dict.fromkeys(_output_names(template.body), _NOT_YET) if stack is None else outputs_of(stack)
        return previews

    def destroy(self) -> None:
        """Delete the stacks, last to first; what their templates retain stays, and is reported.

        Stacks that do not exist are no error. Raises `DeploymentError`.
        """
        for name in reversed(self.stacks):
            stack = self._stacks.described(self._stack_name(name))
            if stack is None:
                continue
            for output in _DISPOSABLE_BUCKETS:
                if bucket := outputs_of(stack).get(output):
                    self._empty(bucket)  # CloudFormation deletes no bucket that holds anything
            self._stacks.delete(stack)

    @property
    def _stacks(self) -> Stacks:
        return Stacks(self.cloudformation, self.report)

    def _refuse_unknown(self, overrides: Mapping[str, str]) -> None:
        declared = {parameter for name in self.stacks for parameter in self._parameters(name)}
        if unknown := sorted(overrides.keys() - declared):
            raise DeploymentError(
                f"no template has a parameter {', '.join(unknown)}; they have: {', '.join(sorted(declared))}"
            )

    def _parameters(self, name: str) -> set[str]:
        with refusal(f"the template {name}"):
            answer = self.cloudformation.validate_template(TemplateBody=self._body(name))
        return {parameter["ParameterKey"] for parameter in answer["Parameters"]}

    def _template(self, name: str, declared: set[str], values: Mapping[str, str]) -> Template:
        return Template(self._body(name), {key: values[key] for key in declared & values.keys()}, self.tags)

    def _upload(self, package: Path, known: Outputs) -> str:
        bucket, key = known["CodeBucket"], _key_of(package)
        with refusal(f"the upload of {package.name} to {bucket}"):
            self.s3.put_object(Bucket=bucket, Key=key, Body=package.read_bytes())
        self.report(f"uploaded {package.name}")
        return key

    def _empty(self, bucket: str) -> None:
        with refusal(f"emptying {bucket}"):
            for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                keys = [{"Key": listed["Key"]} for listed in page.get("Contents", [])]
                if keys:
                    self.s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})

    def _stack_name(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def _body(self, name: str) -> str:
        return (self.templates / f"{name}.yaml").read_text(encoding="utf-8")


def _key_of(package: Path) -> str:
    """The key of a zip in the code bucket, which names its content."""
    return f"processor/{hashlib.sha256(package.read_bytes()).hexdigest()}.zip"


def _output_names(template: str) -> list[str]:
    """The outputs of a template, which stand at its end; CloudFormation tells them of a stack alone."""
    return re.findall(r"^  (\w+):$", template.partition("\nOutputs:\n")[2], re.MULTILINE)
