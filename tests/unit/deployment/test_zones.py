"""The zones of a new network: two that have Fargate on ARM, whatever their names are in the account."""

from __future__ import annotations

from typing import Any

import pytest

from deployment.errors import DeploymentError
from deployment.zones import chosen


def zone(zone_id: str, region: str = "us-east-1", **changes: str) -> dict[str, Any]:
    return {"ZoneId": zone_id, "RegionName": region, "State": "available", "ZoneType": "availability-zone"} | changes


def test_a_zone_without_fargate_on_arm_is_left_out_although_its_name_is_first() -> None:
    listed = [zone("use1-az3", ZoneName="us-east-1a"), zone("use1-az6"), zone("use1-az1"), zone("use1-az2")]
    assert chosen(listed) == "use1-az1,use1-az2"


@pytest.mark.parametrize(
    ("region", "listed", "expected"),
    [
        ("us-west-1", ["usw1-az1", "usw1-az2", "usw1-az3"], "usw1-az1,usw1-az3"),
        ("ap-northeast-1", ["apne1-az4", "apne1-az3", "apne1-az1"], "apne1-az1,apne1-az4"),
        ("eu-central-1", ["euc1-az3", "euc1-az2", "euc1-az1"], "euc1-az1,euc1-az2"),
    ],
)
def test_the_zones_are_the_first_two_of_the_region_by_id(region: str, listed: list[str], expected: str) -> None:
    assert chosen(zone(zone_id, region) for zone_id in listed) == expected


def test_a_local_zone_and_a_zone_that_is_impaired_are_left_out() -> None:
    listed = [
        zone("use1-atl1-az1", ZoneType="local-zone"),
        zone("use1-az1", State="impaired"),
        zone("use1-az2"),
        zone("use1-az4"),
    ]
    assert chosen(listed) == "use1-az2,use1-az4"


def test_too_few_zones_are_an_error_that_says_what_to_do() -> None:
    with pytest.raises(DeploymentError, match=r"\(use1-az1, use1-az3\) only use1-az1 can be used\. Name two"):
        chosen([zone("use1-az1"), zone("use1-az3")])
