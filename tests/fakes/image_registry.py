"""A stand-in for ECR, as far as the producer's image needs it."""

from __future__ import annotations

import base64
from typing import Any

from botocore.exceptions import ClientError

REPOSITORY_URI = "000000000000.dkr.ecr.us-east-1.amazonaws.com/stockstream"
PASSWORD = "secret"


class FakeRegistry:
    """A client of ECR with one repository. For a tag that the repository does not have, it raises `error`."""

    def __init__(self, *tags: str, error: str = "ImageNotFoundException") -> None:
        self._tags = tags
        self._error = error

    def describe_images(self, *, repositoryName: str, imageIds: list[dict[str, str]]) -> Any:  # noqa: N803  (boto3's)
        assert repositoryName == "stockstream"
        if imageIds[0]["imageTag"] not in self._tags:
            raise ClientError({"Error": {"Code": self._error, "Message": self._error}}, "DescribeImages")

    def get_authorization_token(self) -> Any:
        token = base64.b64encode(f"AWS:{PASSWORD}".encode()).decode()
        return {"authorizationData": [{"authorizationToken": token}]}
