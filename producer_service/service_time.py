"""The time of an AWS service: each of its answers tells the clock the time, and requests are signed with that time.

AWS refuses requests whose signature is more than five minutes away from its own time. botocore signs with the clock of
the host, so a clock that is wrong by an hour would stop the delivery. The refusal states the time too, so the next
request is signed with it. Events: https://docs.aws.amazon.com/boto3/latest/guide/events.html
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.auth import AUTH_TYPE_MAPS, SIGV4_TIMESTAMP, S3SigV4Auth, SigV4Auth

from producer_service.clock import Clock

_SIGNERS = {"v4": SigV4Auth, "s3v4": S3SigV4Auth}
"""botocore's signers that are replaced. That of S3 also signs a hash of the body."""


def keep_time(client: Any, clock: Clock) -> None:
    """Have a boto3 client tell a clock the time, and sign with the clock's time. One clock in a process."""

    def ask(context: dict[str, Any], **_: object) -> None:
        context["stockstream_asked_at"] = clock.uptime()

    def tell(response_dict: dict[str, Any] | None, context: dict[str, Any], **_: object) -> None:
        date = (response_dict or {}).get("headers", {}).get("date")
        try:
            time = parsedate_to_datetime(date).astimezone(UTC)
        except (TypeError, ValueError):  # there is no answer, or it has no usable date
            return
        clock.told(time, context["stockstream_asked_at"])

    client.meta.events.register("before-call", ask)
    client.meta.events.register("response-received", tell)
    sign_with(client, clock)


def sign_with(client: Any, clock: Clock) -> None:
    """Have a boto3 client sign with a clock's time. One clock in a process."""

    def choose(signature_version: object, signing_name: str, **_: object) -> str | None:
        if signature_version not in _SIGNERS:
            return None
        return _ours("s3v4" if signing_name == "s3" else "v4")

    for version, signer in _SIGNERS.items():
        AUTH_TYPE_MAPS[_ours(version)] = _signer(signer, clock)
    client.meta.events.register_first("choose-signer", choose)  # botocore's own handler would choose its signer of S3


def _ours(version: str) -> str:
    return f"{version}-with-the-time-of-the-service"


def _signer(signer: type[Any], clock: Clock) -> type[Any]:
    class Signer(signer):  # type: ignore[misc]  # botocore has no types
        def _modify_request_before_signing(self, request: Any) -> None:
            request.context["timestamp"] = clock.now().strftime(SIGV4_TIMESTAMP)
            super()._modify_request_before_signing(request)

    return Signer
