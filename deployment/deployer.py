"""Deploys the templates of infra/cloudformation, to AWS and to any emulator of it, with CloudFormation alone.

Each template is one stack, such as `<prefix>-stream`. The outputs of a stack are parameters of the later ones, matched
by name, so no name is written twice.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from botocore.client import BaseClient

from deployment.errors import DeploymentError
from deployment.functions import ROOT
from deployment.stacks import Outputs, Stacks, Template, outputs_of, refusal

TEMPLATES = ROOT / "infra" / "cloudformation"

PIPELINE = ("stream", "storage", "processor")
"""The stacks that quotes flow through. The replica deploys only these, since it runs its own producer."""
ALL_STACKS = (
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
"""All stacks, in the order of deployment. The processor comes before the producer, so it knows every new line first."""

MakeImage = Callable[[Outputs], str]
"""Makes the producer's image, given the outputs of earlier stacks, and returns its URI."""

CODE_KEY = "CodeKey"
"""The parameter of a function's template that names its zip."""
IMAGE = "Image"
"""The parameter of the producer's template that names its image."""

_DISPOSABLE_BUCKETS = ("CodeBucket", "ResultsBucket")
_NOT_YET = "of-a-stack-that-is-not-there-yet"


@dataclass(frozen=True)
class Deployment:
    """The stacks of one prefix, in the account and region of the clients."""

    cloudformation: BaseClient
    s3: BaseClient
    prefix: str
    report: Callable[[str], None] = field(default=lambda _: None)
    """Called with a line of text for each step."""
    templates: Path = TEMPLATES
    stacks: tuple[str, ...] = PIPELINE
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags for every resource that supports them."""

    def deploy(
        self, zips: Mapping[str, Path], overrides: Mapping[str, str] | None = None, *, image: MakeImage | None = None
    ) -> Outputs:
        """Create or update the stacks in order, and return their outputs when all of them are as asked.

        `zips` are the functions' zips by the names of their stacks. Each is uploaded under a key that names its
        content, so a function changes if and only if its code does. `overrides` are parameters of the templates; they
        take precedence over the outputs of earlier stacks. `image` makes the producer's image for a stack that needs
        one, unless the overrides name it. Running this again is safe, also after a failure. Raises `DeploymentError`.
        """
        values = dict(overrides or {})
        self._refuse_unknown(values)
        outputs: dict[str, str] = {}
        for name in self.stacks:
            declared = self._parameters(name)
            known = outputs | values
            if CODE_KEY in declared - values.keys():
                known[CODE_KEY] = self._upload(name, zips[name], known)
            if image is not None and IMAGE in declared - values.keys():
                known[IMAGE] = image(known)
            outputs |= self._stacks.put(self._stack_name(name), self._template(name, declared, known))
        return MappingProxyType(outputs)

    def preview(
        self, zips: Mapping[str, Path], overrides: Mapping[str, str] | None = None, *, image: MakeImage | None = None
    ) -> Mapping[str, tuple[str, ...]]:
        """What `deploy` would change, one line for each resource, by stack. Changes nothing. Raises `DeploymentError`.

        Here `image` only names the image. The outputs of a stack that does not exist yet are not known, so a change
        that depends on them alone is not shown.
        """
        values = dict(overrides or {})
        self._refuse_unknown(values)
        outputs: dict[str, str] = {}
        previews: dict[str, tuple[str, ...]] = {}
        for name in self.stacks:
            declared = self._parameters(name)
            known = outputs | values
            if CODE_KEY in declared - values.keys():
                known[CODE_KEY] = _key_of(name, zips[name])
            if image is not None and IMAGE in declared - values.keys():
                known[IMAGE] = image(known)
            stack_name, template = self._stack_name(name), self._template(name, declared, known)
            previews[stack_name] = self._stacks.preview(stack_name, template)
            stack = self._stacks.described(stack_name)
            outputs |= dict.fromkeys(_output_names(template.body), _NOT_YET) if stack is None else outputs_of(stack)
        return previews

    def destroy(self) -> None:
        """Delete the stacks, last to first. Report the resources that their templates retain.

        A stack that does not exist is no error. Raises `DeploymentError`.
        """
        for name in reversed(self.stacks):
            stack = self._stacks.described(self._stack_name(name))
            if stack is None:
                continue
            for output in _DISPOSABLE_BUCKETS:
                if bucket := outputs_of(stack).get(output):
                    self._empty(bucket)  # CloudFormation deletes only empty buckets
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

    def _upload(self, function: str, code: Path, known: Outputs) -> str:
        bucket, key = known["CodeBucket"], _key_of(function, code)
        with refusal(f"the upload of {code.name} to {bucket}"):
            self.s3.put_object(Bucket=bucket, Key=key, Body=code.read_bytes())
        self.report(f"uploaded {code.name}")
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


def _key_of(function: str, code: Path) -> str:
    """The key of a zip in the code bucket, which names its content."""
    return f"{function}/{hashlib.sha256(code.read_bytes()).hexdigest()}.zip"


def _output_names(template: str) -> list[str]:
    """The names of a template's outputs, read from its end. CloudFormation lists only those of a stack."""
    return re.findall(r"^  (\w+):$", template.partition("\nOutputs:\n")[2], re.MULTILINE)
