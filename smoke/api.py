"""The step that asks the API, if the stage serves one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import boto3
import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from smoke.checks import api_answered
from smoke.deadline import Deadline
from smoke.stage import Stage
from smoke.verdicts import LeftOut, Verdict

PATH = "/v1/status"
Get = Callable[[str, bool], tuple[int, str]]
"""Asks an address, with a signature of AWS credentials or without, and returns the status and the body."""


@dataclass(frozen=True)
class Api:
    """The API of the stage."""

    stage: Stage
    get: Get

    def answers(self, _deadline: Deadline) -> Verdict:
        """Ask for the status without a login, and with one if AWS credentials are one."""
        if "ApiUrl" not in self.stage.outputs:
            return LeftOut("the stage serves no API (Serve=nothing)")
        url = self.stage.output("ApiUrl") + PATH
        refused, _ = self.get(url, False)
        by_iam = self.stage.output("ApiAuthentication") == "iam"
        return api_answered(refused, self.get(url, True) if by_iam else None)


def get(url: str, signed: bool) -> tuple[int, str]:  # noqa: FBT001  (as `Get` says)
    """See `Get`."""
    answer = httpx.get(url, headers=_signature(url) if signed else {}, timeout=30)
    return answer.status_code, answer.text


def _signature(url: str) -> Mapping[str, str]:
    session = boto3.Session()
    request = AWSRequest("GET", url)
    SigV4Auth(session.get_credentials(), "execute-api", session.region_name).add_auth(request)
    return dict(request.headers)
