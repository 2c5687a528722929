"""The parameters of the producer that is deployed beside a stage."""

from __future__ import annotations

from collections.abc import Mapping

from botocore.exceptions import ClientError

from operations.aws import client, translated_errors


def producer_parameters(prefix: str, stage: str) -> Mapping[str, str]:
    """The parameters of the stack `<prefix>-<stage>-producer`. Empty if there is no such stack."""
    name = f"{prefix}-{stage}-producer"
    with translated_errors(f"stack {name}"):
        try:
            stack = client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return {}
            raise
    return {each["ParameterKey"]: each.get("ParameterValue", "") for each in stack.get("Parameters", ())}
