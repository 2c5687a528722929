"""Stand-ins for outputs of stacks that do not exist yet. Pure.

CloudFormation checks the properties of resources when it makes a change set. So the preview of a stack needs a value of
the right shape for each output of an earlier stack that does not exist yet.
"""

from __future__ import annotations

import re

_ACCOUNT = "000000000000"
_NAME = "not-created-yet"
_SHAPES = (
    ("RoleArn", "arn:{partition}:iam::{account}:role/{name}"),
    ("PolicyArn", "arn:{partition}:iam::{account}:policy/{name}"),
    ("ConsumerArn", "arn:{partition}:kinesis:{region}:{account}:stream/{name}/consumer/{name}:1"),
    ("StreamArn", "arn:{partition}:kinesis:{region}:{account}:stream/{name}"),
    ("TableArn", "arn:{partition}:dynamodb:{region}:{account}:table/{name}"),
    ("BucketArn", "arn:{partition}:s3:::{name}"),
    ("TopicArn", "arn:{partition}:sns:{region}:{account}:{name}"),
    ("QueueArn", "arn:{partition}:sqs:{region}:{account}:{name}"),
    ("FunctionArn", "arn:{partition}:lambda:{region}:{account}:function:{name}"),
    ("AliasArn", "arn:{partition}:lambda:{region}:{account}:function:{name}:live"),
    ("RepositoryArn", "arn:{partition}:ecr:{region}:{account}:repository/{name}"),
    ("ClusterArn", "arn:{partition}:ecs:{region}:{account}:cluster/{name}"),
    ("ServiceArn", "arn:{partition}:ecs:{region}:{account}:service/{name}/{name}"),
    ("TaskArn", "arn:{partition}:ecs:{region}:{account}:task-definition/{name}:1"),
    ("KeyArn", "arn:{partition}:kms:{region}:{account}:key/00000000-0000-0000-0000-000000000000"),
    ("LogGroupArn", "arn:{partition}:logs:{region}:{account}:log-group:{name}"),
    ("AlarmArns", "arn:{partition}:cloudwatch:{region}:{account}:alarm:{name}"),
    ("Arn", "arn:{partition}:cloudformation:{region}:{account}:stack/{name}"),
    ("QueueUrl", "https://sqs.{region}.amazonaws.com/{account}/{name}"),
    ("RepositoryUri", "{account}.dkr.ecr.{region}.amazonaws.com/{name}"),
    ("Url", "https://{name}.example.org/"),
    ("Endpoint", "https://{name}.example.org/"),
    ("SubnetIds", "subnet-00000000000000001,subnet-00000000000000002"),
    ("SecurityGroupId", "sg-00000000000000001"),
    ("VpcId", "vpc-00000000000000001"),
    ("EventSourceMappingId", "00000000-0000-0000-0000-000000000000"),
    ("AssignPublicIp", "ENABLED"),
    ("ApiAuthentication", "jwt"),
    ("BillingOfTables", "PAY_PER_REQUEST"),
    ("Units", "1"),
)
"""How the name of an output ends, and the shape of its value. The first match counts."""


def placeholder(output: str, partition: str, region: str) -> str:
    """A value that has the shape of an output, by its name. Most outputs are names of resources."""
    shape = next((shape for ending, shape in _SHAPES if output.endswith(ending)), "{name}")
    return shape.format(partition=partition, region=region, account=_ACCOUNT, name=_NAME)


def output_names(template: str) -> list[str]:
    """The names of a template's outputs, read from its text. CloudFormation lists only the outputs of a stack."""
    return re.findall(r"^  (\w+):$", template.partition("\nOutputs:\n")[2], re.MULTILINE)
