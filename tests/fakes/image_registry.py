"""A stand-in for ECR, as far as the producer's image needs it."""

from __future__ import annotations

import base64
import hashlib
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

REPOSITORY_URI = "000000000000.dkr.ecr.us-east-1.amazonaws.com/stockstream"
PASSWORD = "secret"


def digest_of(tag: str) -> str:
    """The digest of the image that has a tag."""
    return f"sha256:{hashlib.sha256(tag.encode()).hexdigest()}"


class AlreadyThere(Exception):
    """The image has the tag already."""


class FakeRegistry:
    """A client of ECR with one repository, whose `tags` map a tag to a digest. A look-up may raise `error`."""

    exceptions = SimpleNamespace(ImageAlreadyExistsException=AlreadyThere)

    def __init__(self, *tags: str, error: str = "ImageNotFoundException", pushes: bool = False) -> None:
        self.tags = {tag: digest_of(tag) for tag in tags}
        self._error = error
        self._pushes = pushes

    def describe_images(self, *, repositoryName: str, imageIds: list[dict[str, str]]) -> Any:  # noqa: N803  (boto3's)
        assert repositoryName == "stockstream"
        tag = imageIds[0]["imageTag"]
        if tag not in self.tags:
            if self._pushes:
                self.tags[tag] = digest_of(tag)  # docker pushes it after this look-up
            raise ClientError({"Error": {"Code": self._error, "Message": self._error}}, "DescribeImages")
        return {"imageDetails": [{"imageDigest": self.tags[tag]}]}

    def get_authorization_token(self) -> Any:
        token = base64.b64encode(f"AWS:{PASSWORD}".encode()).decode()
        return {"authorizationData": [{"authorizationToken": token}]}

    def batch_get_image(self, *, repositoryName: str, imageIds: list[dict[str, str]]) -> Any:  # noqa: N803  (boto3's)
        assert repositoryName == "stockstream"
        (wanted,) = imageIds
        digest = wanted.get("imageDigest") or self.tags.get(wanted["imageTag"])
        image = {"imageManifest": "{}", "imageManifestMediaType": "type", "imageId": {"imageDigest": digest}}
        return {"images": [image] if digest in self.tags.values() else []}

    def batch_delete_image(self, *, repositoryName: str, imageIds: list[dict[str, str]]) -> None:  # noqa: N803  (boto3's)
        assert repositoryName == "stockstream"
        for one in imageIds:
            self.tags.pop(one["imageTag"], None)

    def put_image(self, *, imageTag: str, imageDigest: str, **_: str) -> None:  # noqa: N803  (boto3's)
        if self.tags.get(imageTag) == imageDigest:
            raise AlreadyThere
        self.tags[imageTag] = imageDigest
