"""The URLs of AWS's services. In most regions they follow a pattern, and botocore's tables have the others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_requests.errors import WrongEnvironment

_USUAL_REGION = re.compile(r"(cn|us-gov|af|ap|ca|eu|il|me|mx|sa|us)-[a-z]+-\d+")


def region_of(environment: Mapping[str, str]) -> str:
    """The region of an environment. Lambda always sets one. Raises `WrongEnvironment` if there is none."""
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if not region:
        raise WrongEnvironment("AWS_REGION: missing; set it to a region such as eu-west-1")
    return region


def endpoint_of(service: str, region: str, environment: Mapping[str, str]) -> str:
    """The URL of a service: `AWS_ENDPOINT_URL_<SERVICE>`, else `AWS_ENDPOINT_URL`, else the region's (as in the SDK).

    Raises `WrongEnvironment` if the region is unknown.
    """
    if not _is_true(environment, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"):
        configured = environment.get(f"AWS_ENDPOINT_URL_{service.upper()}") or environment.get("AWS_ENDPOINT_URL")
        if configured:
            return configured
    fips, dualstack = (_is_true(environment, f"AWS_USE_{kind}_ENDPOINT") for kind in ("FIPS", "DUALSTACK"))
    if fips or dualstack or _USUAL_REGION.fullmatch(region) is None:
        return _endpoint_of_botocore(service, region, fips=fips, dualstack=dualstack)
    return f"https://{service}.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _is_true(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").lower() == "true"


def _endpoint_of_botocore(service: str, region: str, *, fips: bool, dualstack: bool) -> str:
    found = _botocore_resolver().construct_endpoint(
        service, region, use_fips_endpoint=fips, use_dualstack_endpoint=dualstack
    )
    if not found:
        raise WrongEnvironment(
            f"AWS_REGION: {region!r} is not a known region of {service}; correct it, or set AWS_ENDPOINT_URL"
        )
    return f"https://{found['hostname']}"


@cache
def _botocore_resolver() -> Any:
    """The tables of endpoints of botocore. They are cached, because loading them takes about 100 ms."""
    from botocore.regions import EndpointResolver  # noqa: PLC0415  (importing it takes longer than a cold start)
    from botocore.session import get_session  # noqa: PLC0415  (so does this)

    return EndpointResolver(get_session().get_data("endpoints"))
