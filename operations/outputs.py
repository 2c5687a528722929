"""Where a deployment's resources are: what its stacks put out, by the names in the templates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from operations.aws import answered
from operations.errors import WrongUsage
from processor_lambda.errors import SettingsError
from processor_lambda.settings import Settings, from_environment

Outputs = Mapping[str, str]
"""`StreamName`, `ArchiveBucket`, `QuarantineQueueUrl`, …"""

STACKS = ("stream", "storage", "processor")


def of_stacks(cloudformation: Any, prefix: str) -> Outputs:
    """The outputs of the stacks `<prefix>-stream`, `-storage` and `-processor`, all together. Raises `WrongUsage`."""
    outputs: dict[str, str] = {}
    for name in (f"{prefix}-{stack}" for stack in STACKS):
        with answered(f"stack {name}"):
            try:
                stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
            except ClientError as error:
                if "does not exist" not in str(error):
                    raise
                raise WrongUsage(
                    f"there is no stack {name} in {cloudformation.meta.region_name}: name what was deployed with "
                    "--stack-prefix and --stage, or where `deploy` wrote its outputs with --outputs-file"
                ) from error
        outputs |= {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}
    return outputs


def of_file(path: Path) -> Outputs:
    """The outputs as `deployment deploy --outputs-file` wrote them: NAME=VALUE, a line each. Raises `WrongUsage`."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise WrongUsage(f"{path} cannot be read: {error}") from error
    outputs = {}
    for number, line in enumerate(lines, start=1):
        name, separator, value = line.partition("=")
        if not (name and separator):
            raise WrongUsage(
                f"{path}: line {number} is not NAME=VALUE, as `deployment deploy --outputs-file` writes them"
            )
        outputs[name] = value
    return outputs


def named(outputs: Outputs, name: str) -> str:
    """One of them. Raises `WrongUsage` if it is missing."""
    try:
        return outputs[name]
    except KeyError:
        raise WrongUsage(f"the outputs have no {name}: they are of another deployment, or of an older one") from None


def settings_of(lambda_: Any, function: str) -> Settings:
    """The settings that the deployed function has. Raises `WrongUsage`."""
    with answered(f"function {function}"):
        deployed = lambda_.get_function_configuration(FunctionName=function)
    try:
        return from_environment(deployed.get("Environment", {}).get("Variables", {}))
    except SettingsError as error:
        raise WrongUsage(f"function {function} is of another version than these commands: {error}") from error
