"""AWS Signature Version 4. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

Importing `botocore.auth` takes longer than a whole cold start may take. The tests compare our signatures with its own.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from functools import lru_cache

import msgspec

_ALGORITHM = "AWS4-HMAC-SHA256"


class Keys(msgspec.Struct, frozen=True):
    """The keys that sign a request."""

    access_key: str
    secret_key: str
    token: str | None = None
    """The session token of temporary credentials, such as those of a Lambda function."""


class Scope(msgspec.Struct, frozen=True):
    """What a signature is valid for, within one day."""

    region: str
    service: str


def signed(
    method: str, path: str, headers: dict[str, str], body: bytes, *, scope: Scope, keys: Keys, now: datetime
) -> dict[str, str]:
    """The given headers, and those that sign the request. `headers` contains `host`, and all names are in lower case.

    `path` is already percent-encoded. It is not encoded a second time, which is right for `/` and for the paths of S3.
    It may have a query, whose parameters are in the order of their names, each with its `=`.
    """
    time = now.strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    headers = headers | {"x-amz-date": time}
    if scope.service == "s3":
        headers["x-amz-content-sha256"] = digest
    if keys.token is not None:
        headers["x-amz-security-token"] = keys.token
    names = sorted(headers)
    signed_names = ";".join(names)
    lines = "".join([f"{name}:{headers[name]}\n" for name in names])
    path, _, query = path.partition("?")
    request = f"{method}\n{path}\n{query}\n{lines}\n{signed_names}\n{digest}"
    day = f"{time[:8]}/{scope.region}/{scope.service}/aws4_request"
    to_sign = f"{_ALGORITHM}\n{time}\n{day}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.digest(_signing_key(keys.secret_key, day), to_sign.encode(), "sha256").hex()
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={keys.access_key}/{day}, SignedHeaders={signed_names}, Signature={signature}"
    )
    return headers


@lru_cache(maxsize=16)
def _signing_key(secret_key: str, day: str) -> bytes:
    key = b"AWS4" + secret_key.encode()
    for part in day.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
