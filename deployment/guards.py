"""What a deployment may not do by accident: stop the stream, or take the network from a running task. Pure.

CloudFormation does both without a question. These functions judge the lines of a preview and the parameters, and the
command line refuses or asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from deployment.changes import ResourceChange
from deployment.latency import is_switched

DELETION_PROTECTION = "DeletionProtection"
"""The parameter of storage.yaml that protects the tables. With it, the deployer protects all stacks of the stage."""
ONCE_CREATED = "once-created"
"""Its value while the tables are created. A protected table would block the clean-up of a failed creation."""
UNPROTECTED_STAGE = "dev"
"""The stage that is not protected unless the user asks for it."""

_MAPPING = "AWS::Lambda::EventSourceMapping"
_STREAM_PARTS = {
    "AWS::Kinesis::Stream": "records that are not processed yet never are",
    "AWS::DynamoDB::Table": "the new table is empty",
    "AWS::S3::Bucket": "the new bucket is empty",
    _MAPPING: "the function stops reading, and may begin elsewhere",
}
"""The types that the stream flows through, and what happens if a resource of them goes."""
_ARCHIVE = "Archive"
"""The bucket that the stream needs. The content of the others can be made again."""
_STOPPING_VALUES = {"DesiredCount": ("0", "the producer stops"), "MappingState": ("Disabled", "the function stops")}
_NETWORK_PARAMETERS = (
    "Network",
    "NatGateway",
    "VpcCidr",
    "Zones",
    "ExistingVpcId",
    "ExistingSubnetIds",
    "ExistingAssignPublicIp",
)
_NETWORK_PARTS = "AWS::EC2::"


def stops(previews: Mapping[str, Iterable[str]], held: Mapping[str, str], wanted: Mapping[str, str]) -> tuple[str, ...]:
    """What a deployment does that stops the stream, one line for each; empty if nothing does.

    `previews` has the lines of each stack, `held` the parameters that are deployed, and `wanted` those that differ by
    the user's wish. A new mode of the stream, more shards, or another billing of the tables do not stop anything. With
    another `Latency`, a new mapping begins with the oldest record before the old one ends.
    """
    parts = _STREAM_PARTS.keys() - ({_MAPPING} if is_switched(held, wanted) else set())
    lines = [
        f"{stack}: {change}: {_STREAM_PARTS[change.kind]}"
        for stack, changes in previews.items()
        for change in changes
        if isinstance(change, ResourceChange) and change.kind in parts and _stops(change)
    ]
    for name, (value, effect) in _STOPPING_VALUES.items():
        if name in held and wanted.get(name) == value != held[name]:
            lines.append(f"{name}={value}: {effect}")
    return tuple(lines)


def _stops(change: ResourceChange) -> bool:
    if change.kind == "AWS::S3::Bucket" and change.resource != _ARCHIVE:
        return False
    # Of these types, only a table has properties that replace it under conditions. Emulators call every change of the
    # others a possible replacement.
    return change.goes == "surely" or (change.goes == "perhaps" and change.kind == "AWS::DynamoDB::Table")


def network_refusal(
    changes: Iterable[str], held: Mapping[str, str], wanted: Mapping[str, str], stage: str
) -> str | None:
    """Why the network cannot change now, and the commands that change it; None if it can, or does not change.

    EC2 does not delete a subnet, a gateway or a security group while the interface of a task uses it, so the update
    would fail after an hour. `changes` are the lines of the network's preview.
    """
    changed = [name for name in _NETWORK_PARAMETERS if name in held and wanted.get(name, held[name]) != held[name]]
    parts = [
        str(change)
        for change in changes
        if isinstance(change, ResourceChange) and change.goes != "no" and change.kind.startswith(_NETWORK_PARTS)
    ]
    count = held.get("DesiredCount", "0")
    if count == "0" or not (changed or parts):
        return None
    before, after = [f"{name}={held[name]}" for name in changed], [f"{name}={wanted[name]}" for name in changed]
    steps = (["DesiredCount=0", *before], ["DesiredCount=0", *after], [f"DesiredCount={count}", *after])
    commands = [f'  make deploy STAGE={stage} PARAMETERS="{" ".join(step)}"' for step in steps]
    if not changed:  # the templates of this version make the change, so this version cannot only stop the task
        commands[0] += "   # in the version that is deployed now"
    reason = f"the network of the stage {stage} cannot change while its task runs ({', '.join(after or parts)})"
    way = "Nothing was changed. Stop the task, change the network, and start the task again:"
    return "\n".join((f"{reason}. {way}", *commands))


def protection(named: str | None, held: str | None, stage: str) -> str:
    """The value of DeletionProtection: what the user names, else what is deployed, else on unless the stage is dev."""
    chosen = named or held or ("false" if stage == UNPROTECTED_STAGE else "true")
    return "true" if chosen == ONCE_CREATED else chosen
