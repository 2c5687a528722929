"""Objects of the archive on S3."""

from __future__ import annotations

from processor_lambda.adapters.s3 import S3Archive, url_of_bucket
from tests.fakes.scripted_server import ScriptedServer, response
from tests.support.aws_adapters import Connect


def test_an_object_is_put_into_its_bucket_with_the_digest_of_its_body(server: ScriptedServer, connect: Connect) -> None:
    server.play(response(503, b"<Error><Code>SlowDown</Code></Error>"), response(200))
    archive = S3Archive(connect("s3", url_of_bucket("my-bucket", server.url)), "my-bucket")
    assert archive.put("raw-data/dt=2026-11-23/a b+ä.gz", b"body") == "s3://my-bucket/raw-data/dt=2026-11-23/a b+ä.gz"
    request = server.requests[-1]
    assert request.line == "PUT /my-bucket/raw-data/dt%3D2026-11-23/a%20b%2B%C3%A4.gz HTTP/1.1"
    assert request.headers["x-amz-content-sha256"] == "230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5"
    assert (request.headers["content-encoding"], request.body) == ("gzip", b"body")
