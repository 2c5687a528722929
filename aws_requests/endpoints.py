"""Where AWS's services answer: in the usual regions by their pattern, anywhere else as botocore's tables have it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from aws_requests.errors import WrongEnvironment

_USUAL_REGION = re.compile(r"(cn|us-gov|af|ap|ca|eu|il|me|mx|sa|us)-[a-z]+-\d+")


def region_of(environment: Mapping[str, str]) -> str:
    """The region that an environment names, as Lambda's does. Raises `WrongEnvironment`."""
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if not region:
        raise WrongEnvironment("the function's environment is wrong:\nAWS_REGION: missing")
    return region


def endpoint_of(service: str, region: str, environment: Mapping[str, str]) -> str:
    """The URL of a service, found as the SDK does it: `AWS_ENDPOINT_URL_<SERVICE>`, `AWS_ENDPOINT_URL`, the region's.

    Raises `WrongEnvironment` for a region that nobody knows.
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
    from botocore.regions import EndpointResolver  # noqa: PLC0415  (importing it is most of a cold start)
    from botocore.session import get_session  # noqa: PLC0415  (so is this)

    found = EndpointResolver(get_session().get_data("endpoints")).construct_endpoint(
        service, region, use_fips_endpoint=fips, use_dualstack_endpoint=dualstack
    )
    if not found:
        raise WrongEnvironment(f"AWS_REGION: {region!r} is no region with {service}; if it is, set AWS_ENDPOINT_URL")
    return f"https://{found['hostname']}"
