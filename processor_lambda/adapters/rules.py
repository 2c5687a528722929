"""S3: reads the object with the alert rules, and its earlier versions."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote, urlencode

from aws_requests import NOT_MODIFIED, Refused, Service, Unavailable
from processor_lambda.ports import NoRules, RulesObject

MAX_VERSIONS = 20
"""How many versions are looked at for one whose rules are right."""
_MISSING = frozenset({"NoSuchKey", "NoSuchVersion", "HTTP 404"})


class S3Rules:
    """The object with the alert rules. `service` has the URL that `s3.url_of_bucket` gives."""

    def __init__(self, service: Service, bucket: str, key: str) -> None:
        self._service, self._bucket, self._key = service, bucket, key

    def newest(self, known: str) -> RulesObject | None:
        """See `ports.RulesStore`."""
        try:
            return self._get({"if-none-match": known} if known else {})
        except Refused as error:
            if error.code in _MISSING:
                raise NoRules(f"s3://{self._bucket}/{self._key} does not exist") from error
            raise

    def earlier(self) -> Iterator[RulesObject]:
        """See `ports.RulesStore`."""
        for version in self._versions():
            found = self._get({}, {"versionId": version})
            if found is not None:
                yield found

    def _get(self, headers: dict[str, str], query: dict[str, str] | None = None) -> RulesObject | None:
        path = f"/{quote(self._key)}" + (f"?{urlencode(query, quote_via=quote, safe='')}" if query else "")
        response = self._service.exchange("GetObject", headers, b"", method="GET", path=path)
        if response.status == NOT_MODIFIED:
            return None
        etag = response.headers.get(b"etag", b"").decode("latin-1")
        return RulesObject(response.body, etag, response.headers.get(b"x-amz-version-id", b"").decode("latin-1"))

    def _versions(self) -> list[str]:
        """The ids of the object's versions, newest first, without deletions."""
        from xml.etree import ElementTree as ET  # noqa: PLC0415  (only an instance without right rules imports it)

        query = urlencode({"max-keys": MAX_VERSIONS, "prefix": self._key, "versions": ""}, quote_via=quote, safe="")
        body = self._service.send("ListObjectVersions", {}, b"", method="GET", path=f"/?{query}")
        try:
            found = ET.fromstring(body).iterfind("{*}Version")  # noqa: S314  (it comes from AWS)
        except ET.ParseError as error:
            raise Unavailable(f"s3 ListObjectVersions: invalid response: {error}") from error
        return [each.findtext("{*}VersionId", "") for each in found if each.findtext("{*}Key") == self._key]
