"""S3: objects of the archive bucket."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from processor_lambda.errors import Unavailable


class S3Archive:
    """A bucket of gzip JSON Lines objects."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self._bucket = client, bucket

    def put(self, key: str, body: bytes) -> str:
        """See `ports.Archive`."""
        address = f"s3://{self._bucket}/{key}"
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=body,
                ContentType="application/x-ndjson",
                ContentEncoding="gzip",
            )
        except (ClientError, BotoCoreError) as error:
            raise Unavailable(f"{address}: {error}") from error
        return address
