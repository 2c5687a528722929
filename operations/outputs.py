"""The outputs of a deployment's stacks, which name its resources."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from operations.aws import translated_errors
from operations.errors import WrongUsage
from processor_lambda.errors import SettingsError
from processor_lambda.settings import Settings, from_environment
from quotes.encodings import NotUtf8, decode_text
from terminal.program import called

Outputs = Mapping[str, str]
"""Values by the names that the templates give them: `StreamName`, `ArchiveBucket`, `QuarantineQueueUrl`, …"""

STACKS = ("stream", "storage", "processor")


def read_stacks(cloudformation: Any, prefix: str) -> Outputs:
    """The outputs of the stacks `<prefix>-stream`, `-storage` and `-processor` together. Raises `WrongUsage`."""
    outputs: dict[str, str] = {}
    for name in (f"{prefix}-{stack}" for stack in STACKS):
        with translated_errors(f"stack {name}"):
            try:
                stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
            except ClientError as error:
                if "does not exist" not in str(error):
                    raise
                raise WrongUsage(
                    f"there is no stack {name} in {cloudformation.meta.region_name}: set --stack-prefix and --stage to "
                    "those of the deployment, or set --outputs-file to the file that "
                    f"`{called('deployment')} deploy` wrote"
                ) from error
        outputs |= {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}
    return outputs


def read_file(path: Path) -> Outputs:
    """The outputs that `deployment deploy --outputs-file` wrote, one NAME=VALUE a line. Raises `WrongUsage`."""
    try:
        lines = decode_text(path.read_bytes()).splitlines()
    except OSError as error:
        raise WrongUsage(f"{path} cannot be read: {error}") from error
    except NotUtf8 as error:
        raise WrongUsage(f"{path} {error}") from error
    outputs = {}
    for number, line in enumerate(lines, start=1):
        name, separator, value = line.partition("=")
        if not (name and separator):
            raise WrongUsage(
                f"{path}: line {number} is not NAME=VALUE, the format that `{called('deployment')} deploy "
                "--outputs-file` writes"
            )
        outputs[name] = value
    return outputs


def required(outputs: Outputs, name: str) -> str:
    """The value of an output. Raises `WrongUsage` if there is none."""
    try:
        return outputs[name]
    except KeyError:
        raise WrongUsage(
            f"the outputs have no {name}: they belong to another deployment, or to an older version of this one"
        ) from None


def function_settings(lambda_client: Any, function: str) -> Settings:
    """The settings of the deployed function. Raises `WrongUsage`."""
    with translated_errors(f"function {function}"):
        deployed = lambda_client.get_function_configuration(FunctionName=function)
    try:
        return from_environment(deployed.get("Environment", {}).get("Variables", {}))
    except SettingsError as error:
        raise WrongUsage(
            f"the settings of function {function} are not those that this version of the commands knows: {error}"
        ) from error
