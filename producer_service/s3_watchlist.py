"""The S3 adapter of the watchlist: an object that is read again only when its ETag has changed."""

from __future__ import annotations

from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from producer_service.aws_client import AwsClient, failure_of, in_words
from producer_service.clock import Clock
from producer_service.errors import WatchlistUnavailable
from producer_service.service_time import sign_with
from producer_service.watchlist_store import Found
from watchlist import MAX_BYTES

_UNCHANGED = ("304", "NotModified")
_MISSING = ("NoSuchKey", "NoSuchBucket", "404")


class S3Watchlist:
    """See `WatchlistStore`. Requests are signed with the clock's time, as those of the handover store are."""

    def __init__(self, location: str, clock: Clock | None = None) -> None:
        config = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})

        def prepare(client: Any) -> None:
            if clock is not None:
                sign_with(client, clock)

        self.location = location
        self._bucket, _, self._key = location.removeprefix("s3://").partition("/")
        self._aws = AwsClient("s3", config, prepare)

    def read(self, known: str | None) -> Found | None:
        """See `WatchlistStore.read`. It reads no more than a watchlist may be long."""
        condition = {} if known is None else {"IfNoneMatch": known}
        try:
            response = self._aws.get().get_object(Bucket=self._bucket, Key=self._key, **condition)
            with response["Body"] as body:
                content = body.read(MAX_BYTES + 1)
        except Exception as error:
            code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
            if code in _UNCHANGED:
                return None
            if code in _MISSING:
                raise WatchlistUnavailable(
                    f"{self.location}: there is no such object; `stockstream deploy` or `symbols` writes it"
                ) from error
            if failure_of(error) == "refused":
                self._aws.renew_credentials()
            # S3 answers AccessDenied for an object that is not there, unless the role may list the whole bucket.
            advice = "; perhaps the object does not exist" if code in ("AccessDenied", "403") else ""
            raise WatchlistUnavailable(f"{self.location}: {in_words(error)}{advice}") from error
        version = response["ETag"]
        return None if version == known else Found(content, version)
