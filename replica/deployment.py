"""Deploys the templates of infra/cloudformation, to AWS and to any emulator of it, with CloudFormation alone.

Each template is one stack, `<prefix>-stream` and so on. The outputs of a stack are parameters of the later ones,
matched by name: no name is written down twice.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from replica.errors import DeploymentError
from replica.package import ROOT

TEMPLATES = ROOT / "infra" / "cloudformation"

Outputs = Mapping[str, str]
"""What the stacks put out, all of them together, by the names in the templates: `StreamName`, `FunctionArn`, …"""

_STACKS_BEFORE_CODE = ("stream", "storage")
_STACKS_WITH_CODE = ("processor",)
_TIMEOUT_SECONDS = 1800.0
_FIRST_PAUSE_SECONDS = 0.05  # an emulator needs no longer
_LONGEST_PAUSE_SECONDS = 5.0
_BEGINNINGS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")


@dataclass(frozen=True)
class Deployment:
    """The stacks of one prefix, in the account and region of the clients."""

    cloudformation: BaseClient
    s3: BaseClient
    prefix: str
    report: Callable[[str], None] = field(default=lambda _: None)
    """Is told each step, in a line."""
    templates: Path = TEMPLATES

    def deploy(self, package: Path, overrides: Mapping[str, str] | None = None) -> Outputs:
        """Create the stacks, or update those that differ, in order; return when all of them are as asked.

        `overrides` are parameters of the templates that shall not have their defaults; they win over outputs of earlier
        stacks. `package` is uploaded under a key that names its content, so the function changes if and only if its
        code did. Running it again is safe, also after a failure. Raises `DeploymentError`.
        """
        overrides = dict(overrides or {})
        self._refuse_unknown(overrides)
        outputs: dict[str, str] = {}
        for name in _STACKS_BEFORE_CODE:
            outputs |= self._put_stack(name, outputs | overrides)
        code = {"CodeKey": self._upload(package, (outputs | overrides)["CodeBucket"])}
        for name in _STACKS_WITH_CODE:
            outputs |= self._put_stack(name, outputs | code | overrides)
        return MappingProxyType(outputs)

    def destroy(self) -> None:
        """Delete the stacks, last to first; what their templates retain stays, and is reported.

        Stacks that do not exist are no error. Raises `DeploymentError`.
        """
        for name in reversed(_STACKS_BEFORE_CODE + _STACKS_WITH_CODE):
            stack = self._describe(self._stack_name(name))
            if stack is None:
                continue
            code_bucket = _outputs(stack).get("CodeBucket")
            if code_bucket is not None:
                self._empty(code_bucket)  # CloudFormation deletes no bucket that holds anything
            self._delete(stack)

    def _refuse_unknown(self, overrides: Mapping[str, str]) -> None:
        declared: set[str] = set()
        for name in _STACKS_BEFORE_CODE + _STACKS_WITH_CODE:
            declared |= self._parameters(name)
        if unknown := sorted(overrides.keys() - declared):
            raise DeploymentError(
                f"no template has a parameter {', '.join(unknown)}; they have: {', '.join(sorted(declared))}"
            )

    def _parameters(self, name: str) -> set[str]:
        with _refusal(f"the template {name}"):
            answer = self.cloudformation.validate_template(TemplateBody=self._template(name))
        return {parameter["ParameterKey"] for parameter in answer["Parameters"]}

    def _put_stack(self, name: str, values: Mapping[str, str]) -> Outputs:
        stack_name = self._stack_name(name)
        given = sorted(self._parameters(name) & values.keys())
        request = {
            "StackName": stack_name,
            "TemplateBody": self._template(name),
            "Parameters": [{"ParameterKey": key, "ParameterValue": values[key]} for key in given],
            "Capabilities": ["CAPABILITY_IAM"],
        }
        stack = self._describe(stack_name)
        if stack is not None and stack["StackStatus"] == "ROLLBACK_COMPLETE":
            # A stack whose creation failed holds nothing, and can only be deleted.
            self._delete(stack)
            stack = None
        with _refusal(stack_name):
            if stack is None:
                self.cloudformation.create_stack(**request)
                self.report(f"creating {stack_name}")
                return _outputs(self._ended("CREATE", stack_name))
            if self._update(request):
                self.report(f"updating {stack_name}")
                return _outputs(self._ended("UPDATE", stack_name))
        self.report(f"{stack_name} is up to date")
        return _outputs(stack)

    def _update(self, request: Mapping[str, Any]) -> bool:
        """Begin an update; False if there is nothing to change."""
        try:
            self.cloudformation.update_stack(**request)
        except ClientError as error:
            if "No updates are to be performed" in _reason(error):
                return False
            raise
        return True

    def _delete(self, stack: Mapping[str, Any]) -> None:
        stack_name, stack_id = stack["StackName"], stack["StackId"]
        with _refusal(f"the deletion of {stack_name}"):
            self.cloudformation.delete_stack(StackName=stack_name)
        self.report(f"deleting {stack_name}")
        self._ended("DELETE", stack_id)  # a deleted stack is known by its id alone
        for event in self._events(stack_id):
            if event["ResourceStatus"] == "DELETE_SKIPPED":
                self.report(f"kept {event['ResourceType']} {event['PhysicalResourceId']}")

    def _ended(self, operation: str, stack: str) -> Mapping[str, Any]:
        """The stack, by name or id, when its operation has ended well. Raises `DeploymentError` if it did not."""
        failed = ("_FAILED",) if operation == "DELETE" else ("_FAILED", "ROLLBACK_COMPLETE")
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        pause = _FIRST_PAUSE_SECONDS
        while True:
            description = self._describe(stack)
            if description is None:
                raise DeploymentError(f"{stack} is gone")
            status = description["StackStatus"]
            if status == f"{operation}_COMPLETE":
                return description
            if status.endswith(failed):
                raise DeploymentError(f"{description['StackName']} ended as {status}\n{self._failures(stack)}")
            if time.monotonic() > deadline:
                raise DeploymentError(f"{description['StackName']} is still {status} after {_TIMEOUT_SECONDS:.0f} s")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _failures(self, stack: str) -> str:
        """A line for each resource that failed, in the order in which they did."""
        events = [event for event in self._events(stack) if event["ResourceStatus"].endswith("_FAILED")]
        if any(event.get("DetailedStatus") == "VALIDATION_FAILED" for event in events):
            return "\n".join(self._findings(stack))
        failed = [event for event in events if event.get("PhysicalResourceId") != event["StackId"]] or events
        # What CloudFormation cancelled is a consequence, and would hide the cause.
        causes = [event for event in failed if "cancelled" not in event.get("ResourceStatusReason", "")] or failed
        return "\n".join(_failure(event, event.get("ResourceStatusReason")) for event in reversed(causes))

    def _findings(self, stack: str) -> Iterator[str]:
        """What CloudFormation's validation had against a stack before it made anything of it."""
        pages = self.cloudformation.get_paginator("describe_events").paginate(
            StackName=stack, Filters={"FailedEvents": True}
        )
        for page in pages:
            for event in page["OperationEvents"]:
                if event["EventType"] == "VALIDATION_ERROR":
                    yield _failure(event, event.get("ValidationStatusReason"))

    def _events(self, stack: str) -> Iterator[Mapping[str, Any]]:
        """The events of the stack's newest operation, newest first."""
        for page in self.cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack):
            for event in page["StackEvents"]:
                yield event
                if event["ResourceStatus"] in _BEGINNINGS and event.get("PhysicalResourceId") == event["StackId"]:
                    return

    def _describe(self, stack: str) -> Mapping[str, Any] | None:
        try:
            description: Mapping[str, Any] = self.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in _reason(error):
                return None
            raise DeploymentError(f"{stack} is refused: {_reason(error)}") from error
        return description

    def _upload(self, package: Path, bucket: str) -> str:
        content = package.read_bytes()
        key = f"processor/{hashlib.sha256(content).hexdigest()}.zip"
        with _refusal(f"the upload of {package.name} to {bucket}"):
            self.s3.put_object(Bucket=bucket, Key=key, Body=content)
        self.report(f"uploaded {package.name}")
        return key

    def _empty(self, bucket: str) -> None:
        with _refusal(f"emptying {bucket}"):
            for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                keys = [{"Key": listed["Key"]} for listed in page.get("Contents", [])]
                if keys:
                    self.s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})

    def _stack_name(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def _template(self, name: str) -> str:
        return (self.templates / f"{name}.yaml").read_text(encoding="utf-8")


@contextmanager
def _refusal(what: str) -> Iterator[None]:
    """Say what it was that AWS refused, and why."""
    try:
        yield
    except ClientError as error:
        raise DeploymentError(f"{what} is refused: {_reason(error)}") from error


def _outputs(stack: Mapping[str, Any]) -> Outputs:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _failure(event: Mapping[str, Any], reason: str | None) -> str:
    return f"  {event.get('LogicalResourceId')} ({event.get('ResourceType')}): {reason or 'no reason given'}"


def _reason(error: ClientError) -> str:
    return str(error.response["Error"].get("Message") or error)
