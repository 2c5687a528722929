"""S3: writes objects to the archive bucket."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from aws_requests import Service

_AMAZON = re.compile(r"s3[.-][a-z0-9.-]+\.amazonaws\.com(\.cn)?")
_HEADERS = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}


class S3Archive:
    """A bucket of gzip JSON Lines objects. `service` has the URL that `url_of_bucket` gives."""

    def __init__(self, service: Service, bucket: str) -> None:
        self._service, self._bucket = service, bucket

    def put(self, key: str, body: bytes) -> str:
        """See `ports.Archive`."""
        self._service.send("PutObject", _HEADERS, body, method="PUT", path="/" + quote(key))
        return f"s3://{self._bucket}/{key}"


def url_of_bucket(bucket: str, endpoint: str) -> str:
    """The URL of a bucket, as the SDK chooses it: a host name at Amazon, a path at other endpoints.

    A bucket with a dot in its name has no certificate for its host name, so it has a path at Amazon too:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
    """
    host = urlsplit(endpoint).netloc
    if "." in bucket or _AMAZON.fullmatch(host) is None:
        return f"{endpoint.rstrip('/')}/{bucket}"
    return endpoint.replace(host, f"{bucket}.{host}", 1)
