"""HTTP: ETags, gzip, CORS, HEAD, paths and methods, and what goes wrong at AWS."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from aws_requests import Refused, Unavailable
from lane_state import LaneState
from lane_state.codec import READS
from query_api import http
from query_api.http import Response
from tests.fakes.query_ports import NOW, SETTINGS, QueryWorld, event_of
from tests.support.query_states import SECOND, make_symbol


@pytest.fixture
def world() -> QueryWorld:
    """A lane with 50 symbols."""
    world = QueryWorld()
    world.commit("lane-00-of-02", LaneState(clock=NOW, symbols={f"S{number}": make_symbol() for number in range(50)}))
    return world


class TestETag:
    def test_a_known_answer_has_no_body(self, world: QueryWorld) -> None:
        tag = world.get("/v1/latest").headers["etag"]
        known = world.get("/v1/latest", {"if-none-match": tag})
        assert (known.status, known.body, known.headers["etag"]) == (304, b"", tag)
        assert "content-type" not in known.headers
        assert known.headers["cache-control"] == "private, no-cache"

    @pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '"a" , W/{} , "b"'])
    def test_it_may_be_in_a_list_and_weak(self, world: QueryWorld, form: str) -> None:
        tag = world.get("/v1/latest").headers["etag"]
        assert world.get("/v1/latest", {"if-none-match": form.format(tag)}).status == 304

    def test_a_star_knows_every_answer(self, world: QueryWorld) -> None:
        assert world.get("/v1/latest", {"if-none-match": "*"}).status == 304
        assert world.get("/v1/latest", {"if-none-match": "*"}, symbols="!").status == 400

    @pytest.mark.parametrize("tag", ['""', "garbage", '"é"', ""])
    def test_another_tag_does_not(self, world: QueryWorld, tag: str) -> None:
        assert world.get("/v1/latest", {"if-none-match": tag}).status == 200

    def test_it_changes_with_the_data_alone(self, world: QueryWorld) -> None:
        tag = world.get("/v1/latest").headers["etag"]
        world.now += SECOND
        world.seconds += 10
        assert world.get("/v1/latest").headers["etag"] == tag
        world.commit("lane-00-of-02", LaneState(clock=NOW + SECOND, symbols={"S1": make_symbol(revision=1)}))
        world.seconds += 10
        assert world.get("/v1/latest", {"if-none-match": tag}).status == 200

    def test_the_compressed_form_has_its_own_and_knows_both(self, world: QueryWorld) -> None:
        plain = world.get("/v1/latest").headers["etag"]
        gzip = world.get("/v1/latest", {"accept-encoding": "gzip"}).headers["etag"]
        assert gzip == plain[:-1] + '-gzip"'
        for tag in (plain, gzip):
            assert world.get("/v1/latest", {"accept-encoding": "gzip", "if-none-match": tag}).status == 304


class TestGzip:
    @pytest.mark.parametrize("accepted", ["gzip", "deflate, gzip;q=0.5, br", "*", "GZIP", "gzip;q=1.0"])
    def test_a_large_body_is_compressed_if_the_client_accepts_it(self, world: QueryWorld, accepted: str) -> None:
        returned = world.handler(event_of("/v1/latest", headers={"Accept-Encoding": accepted}))
        assert (returned["isBase64Encoded"], returned["headers"]["content-encoding"]) == (True, "gzip")
        answer = world.get("/v1/latest", {"accept-encoding": accepted})
        assert answer.body == world.get("/v1/latest").body

    @pytest.mark.parametrize("accepted", ["", "br", "gzip;q=0", "gzip; q=0.0", "identity"])
    def test_otherwise_it_is_not(self, world: QueryWorld, accepted: str) -> None:
        returned = world.handler(event_of("/v1/latest", headers={"accept-encoding": accepted}))
        assert not returned["isBase64Encoded"]
        assert "content-encoding" not in returned["headers"]

    def test_a_small_body_is_not(self, world: QueryWorld) -> None:
        answer = world.get("/v1/latest", {"accept-encoding": "gzip"}, symbols="S1")
        assert "content-encoding" not in answer.headers

    def test_equal_bodies_have_equal_bytes(self) -> None:
        response = Response(body=b"x" * 5_000)
        once, again = (http.answer(response, {"accept-encoding": "gzip"}, "GET", ()) for _ in range(2))
        assert once == again
        assert zlib.decompress(base64.b64decode(once["body"]), wbits=31) == response.body


class TestMethods:
    def test_head_has_the_headers_and_no_body(self, world: QueryWorld) -> None:
        for headers in ({}, {"accept-encoding": "gzip"}):
            get, head = (world.get("/v1/latest", headers, method=method) for method in ("GET", "HEAD"))
            assert (head.status, head.headers, head.body) == (200, get.headers, b"")

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "get"])
    def test_others_are_not_allowed(self, world: QueryWorld, method: str) -> None:
        answer = world.get("/v1/latest", method=method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")

    @pytest.mark.parametrize(
        "path", ["/", "", "/v1", "/v1/", "/v1/nothing", "/v1/quotes/", "/v1/latest/", "/V1/latest"]
    )
    def test_an_unknown_path_is_not_found(self, world: QueryWorld, path: str) -> None:
        for method in ("GET", "POST", "OPTIONS"):
            answer = world.get(path, method=method)
            assert (answer.status, answer.json()["type"]) == (404, "urn:stockstream:path-unknown")

    def test_the_stage_is_no_part_of_the_path(self, world: QueryWorld) -> None:
        event = event_of("/prod/v1/latest")
        assert world.handler(event)["statusCode"] == 404
        event["requestContext"]["stage"] = "prod"
        assert world.handler(event)["statusCode"] == 200

    def test_a_path_without_its_stage_is_found_too(self, world: QueryWorld) -> None:
        event = event_of("/v1/latest")
        event["requestContext"]["stage"] = "v1"
        assert world.handler(event)["statusCode"] == 404
        event["requestContext"]["stage"] = "prod"
        assert world.handler(event)["statusCode"] == 200


class TestCors:
    ORIGIN = "https://example.org"

    def test_is_off_by_default(self, world: QueryWorld) -> None:
        for method in ("GET", "OPTIONS"):
            answer = world.get("/v1/latest", {"origin": self.ORIGIN}, method=method)
            assert not [name for name in answer.headers if name.startswith("access-control")]

    @pytest.mark.parametrize(("allowed", "sent"), [("https://example.org", "https://example.org"), ("*", "*")])
    def test_an_origin_that_is_allowed_may_read(self, allowed: str, sent: str) -> None:
        world = QueryWorld(replace(SETTINGS, cors_origins=("https://other.example", allowed)))
        for path in ("/v1/latest", "/v1/latest?wrong", "/v1/nothing"):
            headers = world.get(path, {"origin": self.ORIGIN}).headers
            assert headers["access-control-allow-origin"] == sent
            assert "Origin" in headers["vary"]

    def test_another_origin_may_not(self) -> None:
        world = QueryWorld(replace(SETTINGS, cors_origins=(self.ORIGIN,)))
        for origin in ("https://example.org.evil.example", "null", "https://EXAMPLE.org"):
            assert "access-control-allow-origin" not in world.get("/v1/latest", {"origin": origin}).headers

    def test_a_preflight_says_what_may_be_sent(self) -> None:
        world = QueryWorld(replace(SETTINGS, cors_origins=(self.ORIGIN,)))
        answer = world.get("/v1/latest", {"origin": self.ORIGIN}, method="OPTIONS")
        assert (answer.status, answer.body) == (204, b"")
        assert answer.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
        assert answer.headers["access-control-allow-headers"] == "Authorization, If-None-Match"


class TestFailures:
    @pytest.mark.parametrize(
        "error", [Unavailable("throttled"), Refused("dynamodb Query", "ResourceNotFoundException", "no table")]
    )
    def test_an_aws_that_does_not_answer_is_a_503_with_the_time_to_retry(
        self, world: QueryWorld, error: Exception
    ) -> None:
        def fail() -> None:
            raise error

        world.states.fault = fail
        answer = world.get("/v1/latest")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["type"] == "urn:stockstream:unavailable"
        assert world.log == [{"event": "request_unavailable", "path": "/v1/latest", "error": str(error)}]

    def test_a_state_of_a_newer_version_is_a_503_that_says_what_to_do(self, world: QueryWorld) -> None:
        world.states.packed["lane-01-of-02"] = zlib.compress(
            msgspec.msgpack.encode({"version": READS + 1, "state": {}, "last_sequence": "1"})
        )
        answer = world.get("/v1/latest")
        assert answer.status == 503
        assert "Deploy the query function of the same version." in answer.json()["detail"]
        assert f"version {READS + 1}" in world.log[0]["error"]

    def test_a_bug_is_a_500_whose_trace_is_in_the_log_alone(self, world: QueryWorld) -> None:
        world.states.packed["lane-01-of-02"] = b"damaged"
        answer = world.get("/v1/latest")
        assert answer.status == 500
        assert answer.json() == {
            "type": "urn:stockstream:failed",
            "title": "The function failed",
            "status": 500,
            "detail": "Its log has the reason.",
        }
        (line,) = world.log
        assert line["event"] == "request_failed"
        assert "Traceback" in line["trace"]
        json.dumps(line)


def test_an_error_is_never_kept_by_a_cache(world: QueryWorld) -> None:
    answer = world.get("/v1/latest", nonsense=1)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/problem+json"
    assert "etag" not in answer.headers


def test_the_document_may_be_kept_for_an_hour(world: QueryWorld) -> None:
    answer = world.get("/v1/openapi.json")
    assert answer.headers["cache-control"] == "private, max-age=3600"
    document: dict[str, Any] = answer.json()
    assert document["openapi"] == "3.1.0"
