"""The availability zones of a new network: zones where Fargate runs tasks, on ARM too.

The name of a zone, such as us-east-1a, means another zone in each account. Its id, such as use1-az1, does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from botocore.client import BaseClient

from deployment.cloudformation import aws_errors_about
from deployment.errors import DeploymentError

ZONES = "Zones"
"""The parameter of the network that names its two zones."""
NETWORK = "network"
"""The stack of the network."""

_WITH_FARGATE = {
    "us-east-1": {"use1-az1", "use1-az2", "use1-az4", "use1-az5", "use1-az6"},
    "us-west-1": {"usw1-az1", "usw1-az3"},
    "ap-northeast-1": {"apne1-az1", "apne1-az2", "apne1-az4"},
    "ca-central-1": {"cac1-az1", "cac1-az2"},
    "cn-north-1": {"cnn1-az1", "cnn1-az2"},
}
"""The zones of the regions that have others too. In all other regions, every zone has Fargate.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/AWS_Fargate-Regions.html; use1-az3 has it, but not on ARM.
"""


def chosen(listed: Iterable[Mapping[str, Any]]) -> str:
    """The two zones for a new network, separated by a comma, of those that EC2 lists. Raises `DeploymentError`."""
    zones = list(listed)
    usable = sorted(
        zone["ZoneId"]
        for zone in zones
        if zone["State"] == "available"
        # Local zones and those of telephone networks have no Fargate.
        and zone.get("ZoneType", "availability-zone") == "availability-zone"
        and zone["ZoneId"] in _WITH_FARGATE.get(zone["RegionName"], {zone["ZoneId"]})
    )
    if len(usable) < 2:  # noqa: PLR2004  (a network has two zones)
        raise DeploymentError(
            "the network needs two availability zones with Fargate, but of those that EC2 lists "
            f"({', '.join(sorted(zone['ZoneId'] for zone in zones)) or 'none'}) only {', '.join(usable) or 'none'} "
            f"can be used. Name two with {ZONES}=use1-az1,use1-az2, or use another region"
        )
    return ",".join(usable[:2])


def choose(ec2: BaseClient) -> str:
    """The two zones for a new network in the account and region of the client. Raises `DeploymentError`."""
    with aws_errors_about("listing the availability zones"):
        return chosen(ec2.describe_availability_zones()["AvailabilityZones"])
