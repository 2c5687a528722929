"""The function's requests to AWS, against answers as AWS gives them and connections that break."""

import base64
import json
import select
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Protocol
from urllib.parse import parse_qsl

import pytest
from msgspec.structs import replace

from aws_requests import Refused, Unavailable, WrongEnvironment, connection
from aws_requests import service as aws
from aws_requests.credentials import credentials_of
from aws_requests.service import ATTEMPTS, RETRY_SECONDS, Service
from lane_state import Alert, LaneState, Position, pack
from processor_lambda.adapters.dynamodb import DynamoBarTable, DynamoStateTable, DynamoTable
from processor_lambda.adapters.s3 import S3Archive, url_of_bucket
from processor_lambda.adapters.sns import SnsTopic
from processor_lambda.adapters.sqs import SqsQuarantine
from processor_lambda.errors import CommitConflict, PermanentFailure
from processor_lambda.ports import QuarantineMessage, RefusedAlert
from processor_lambda.rows import Row
from replica.emulator import REGION, Emulator
from tests.fakes.scripted_server import Request, ScriptedServer, Step, answer

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "first"}
DONE = answer(200, b"{}")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer().running() as running:
        yield running


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Connect(Protocol):
    """Makes services that are closed when the test is over."""

    def __call__(
        self, name: str = ..., url: str | None = ..., environment: dict[str, str] | None = ..., ca: str | None = ...
    ) -> Service: ...


@pytest.fixture
def connect(server: ScriptedServer, clock: Clock) -> Iterator[Connect]:
    made: list[Service] = []

    def connect(
        name: str = "dynamodb",
        url: str | None = None,
        environment: dict[str, str] | None = None,
        ca: str | None = None,
    ) -> Service:
        credentials = credentials_of(KEYS if environment is None else environment)
        url = server.url if url is None else url
        region = REGION if ca else "eu-west-1"
        made.append(Service(name, url, region, credentials, ca_bundle=ca, sleep=clock.sleep, monotonic=clock))
        return made[-1]

    yield connect
    for service in made:
        service.close()


@pytest.fixture
def dynamodb(connect: Connect) -> Service:
    return connect()


def error(code: str, status: int = 400, message: str = "why") -> bytes:
    """As DynamoDB says it."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}
    return answer(status, json.dumps(body).encode(), "Content-Type: application/x-amz-json-1.0")


def test_requests_go_over_one_connection_signed(server: ScriptedServer, dynamodb: Service) -> None:
    server.play(DONE, DONE)
    for body in (b"{}", b'{"TableName":"a"}'):
        assert dynamodb.send("PutItem", {"x-amz-target": "DynamoDB_20120810.PutItem"}, body) == b"{}"
    assert [(request.connection, request.line, request.body) for request in server.requests] == [
        (1, "POST / HTTP/1.1", b"{}"),
        (1, "POST / HTTP/1.1", b'{"TableName":"a"}'),
    ]
    headers = server.requests[0].headers
    assert headers["host"] == server.url.removeprefix("http://")
    assert headers["x-amz-security-token"] == "first"
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "SignedHeaders=host;x-amz-date;x-amz-security-token;x-amz-target" in headers["authorization"]


@pytest.mark.parametrize(
    "raw",
    [
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n3;x=y\r\n:1}\r\n0\r\nTrailer: x\r\n\r\n',
        b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:7\r\n\r\n{"a":1}',
    ],
    ids=["chunked", "continued"],
)
def test_an_answer_comes_in_any_form_of_http(server: ScriptedServer, dynamodb: Service, raw: bytes) -> None:
    server.play(raw, DONE)
    assert dynamodb.send("PutItem", {}, b"") == b'{"a":1}'
    assert dynamodb.send("PutItem", {}, b"") == b"{}"
    assert [request.connection for request in server.requests] == [1, 1]


@pytest.mark.parametrize(
    "step",
    [
        Step(answer(200, b"{}"), "close"),
        Step(answer(200, b"{}", "Connection: close"), "close"),
    ],
    ids=["silently", "announced"],
)
def test_a_connection_that_was_closed_while_it_was_idle_costs_no_attempt(
    server: ScriptedServer, dynamodb: Service, clock: Clock, step: Step
) -> None:
    server.play(step)
    dynamodb.send("PutItem", {}, b"")
    if (idle := dynamodb._connection._socket) is not None:
        select.select([idle], [], [], 30)  # the end of the stream is on its way
    server.play(DONE)
    dynamodb.send("PutItem", {}, b"")
    assert [request.connection for request in server.requests] == [1, 2]
    assert clock.pauses == []


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (Step(b"", "reset"), "ConnectionResetError"),
        (Step(b"", "close"), "closed before a response"),
        (Step(b"HTTP/1.1 200 OK\r\nContent-Le", "close"), "cut off"),
        (Step(answer(200, b'{"Unprocess')[:-4], "close"), "ended after 7 of 11 bytes"),
        (Step(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{}", "close"), "ended after 2 of 8 bytes"),
        (Step(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n", "close"), "longer than it"),
        (Step(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "close"), "b'many' is neither a number"),
        (Step(b"HTTP/1.1 200 OK\r\n\r\n", "close"), "the response has no length"),
        (Step(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "close"), "b'-1' is neither a number"),
        (Step(b"SSH-2.0-OpenSSH\r\n", "close"), "is not HTTP: b'SSH-2.0"),
        (Step(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500, "close"), "more than 200 headers"),
        (Step(answer(500), "keep"), "HTTP 500"),
        (Step(answer(503, b"<html>busy</html>"), "keep"), "HTTP 503"),
        (Step(error("InternalServerError", 500), "keep"), "InternalServerError: why"),
        (Step(error("ProvisionedThroughputExceededException"), "keep"), "ProvisionedThroughputExceededException"),
        (Step(error("ThrottlingException"), "keep"), "ThrottlingException"),
        (Step(answer(429), "keep"), "HTTP 429"),
    ],
)
def test_what_passes_is_tried_again_and_told_if_it_does_not(
    server: ScriptedServer, dynamodb: Service, clock: Clock, step: Step, problem: str
) -> None:
    server.play(step, step, DONE)
    assert dynamodb.send("PutItem", {}, b"") == b"{}"
    assert len(clock.pauses) == 2
    assert all(0 <= pause <= 0.05 * 2**attempt for attempt, pause in enumerate(clock.pauses))

    server.play(*[step] * ATTEMPTS)
    with pytest.raises(Unavailable, match="dynamodb PutItem failed 6 times; the last error was ") as raised:
        dynamodb.send("PutItem", {}, b"")
    assert problem in str(raised.value)
    server.play(DONE)
    assert dynamodb.send("PutItem", {}, b"") == b"{}"


def test_no_attempt_begins_when_patience_is_over(server: ScriptedServer, dynamodb: Service, clock: Clock) -> None:
    def hang() -> None:
        clock.now += RETRY_SECONDS

    server.during = hang
    server.play(answer(503), DONE)
    with pytest.raises(Unavailable, match="failed 1 times"):
        dynamodb.send("PutItem", {}, b"")
    assert len(server.requests) == 1


def test_a_server_that_says_nothing_is_given_up(
    server: ScriptedServer, dynamodb: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "READ_SECONDS", 0.05)
    silent = threading.Event()
    server.during = lambda: assert_(silent.wait(30))
    server.play(*[Step(b"", "close")] * ATTEMPTS)
    with pytest.raises(Unavailable, match="TimeoutError"):
        dynamodb.send("PutItem", {}, b"")
    silent.set()


def assert_(holds: bool) -> None:  # noqa: FBT001  (an assertion where an expression stands)
    assert holds


def test_nobody_at_the_endpoint_is_told(connect: Connect) -> None:
    with pytest.raises(Unavailable, match="ConnectionRefusedError"):
        connect(url="http://127.0.0.1:1").send("PutItem", {}, b"")


@pytest.mark.parametrize("url", ["localhost:4566", "ftp://here", "https://", ""])
def test_an_endpoint_that_is_no_url_is_told(url: str, connect: Connect) -> None:
    with pytest.raises(WrongEnvironment, match="the endpoint of dynamodb, "):
        connect(url=url)


def test_a_certificate_file_that_is_not_there_is_told(connect: Connect, server: ScriptedServer) -> None:
    service = connect(url=server.url.replace("http:", "https:"), ca="/nowhere.pem")
    with pytest.raises(Unavailable, match=r"AWS_CA_BUNDLE names the file '/nowhere\.pem', which does not exist"):
        service.send("PutObject", {}, b"")


@pytest.mark.parametrize(
    ("raw", "code", "text"),
    [
        (error("AccessDeniedException"), "AccessDeniedException", "why"),
        (answer(400, b'{"__type":"com.amazon.coral#ValidationException","Message":"x"}'), "ValidationException", "x"),
        (
            answer(
                403, b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
            ),
            "AccessDenied",
            "Access Denied",
        ),
        (answer(301, b"<Error><Code>PermanentRedirect</Code></Error>"), "PermanentRedirect", ""),
        (answer(404, b"\xff\xfe"), "HTTP 404", ""),
        (answer(400, b"[" * 100_000), "HTTP 400", ""),
    ],
)
def test_a_refusal_is_final_and_has_its_code(
    server: ScriptedServer, dynamodb: Service, raw: bytes, code: str, text: str
) -> None:
    server.play(raw)
    with pytest.raises(Refused) as raised:
        dynamodb.send("PutItem", {}, b"")
    assert (raised.value.code, len(server.requests)) == (code, 1)
    assert str(raised.value) == f"dynamodb PutItem: {code}" + (f": {text}" if text else "")


def test_credentials_that_expire_are_looked_up_again(server: ScriptedServer, connect: Connect, clock: Clock) -> None:
    environment = dict(KEYS)
    service = connect(environment=environment)
    server.during = lambda: environment.update(AWS_SESSION_TOKEN="second")
    server.play(error("ExpiredTokenException"), DONE)
    assert service.send("PutItem", {}, b"") == b"{}"
    tokens = [request.headers["x-amz-security-token"] for request in server.requests]
    assert (tokens, clock.pauses) == (["first", "second"], [])

    server.play(error("ExpiredTokenException"), error("ExpiredTokenException"))
    with pytest.raises(Refused, match="ExpiredTokenException"):
        service.send("PutItem", {}, b"")


ROWS: list[Row] = [{"symbol": f"S{number}", "timestamp": "t", "price": Decimal(number)} for number in range(60)]


def written(server: ScriptedServer) -> list[list[str]]:
    """The symbols of each batch write."""
    return [
        [entry["PutRequest"]["Item"]["symbol"]["S"] for entry in json.loads(request.body)["RequestItems"]["quotes"]]
        for request in server.requests
    ]


def unprocessed(*numbers: int) -> bytes:
    items = [{"PutRequest": {"Item": {"symbol": {"S": f"S{number}"}, "timestamp": {"S": "t"}}}} for number in numbers]
    return answer(200, json.dumps({"UnprocessedItems": {"quotes": items} if items else {}}).encode())


@pytest.fixture
def table(dynamodb: Service, clock: Clock) -> DynamoTable:
    return DynamoTable(dynamodb, "quotes", ("symbol", "timestamp"), sleep=clock.sleep)


def test_rows_go_in_batches_and_what_was_left_unprocessed_again(
    server: ScriptedServer, table: DynamoTable, clock: Clock
) -> None:
    server.play(unprocessed(), unprocessed(26, 49), unprocessed(49), unprocessed(), unprocessed())
    table.put(ROWS)
    assert [len(batch) for batch in written(server)] == [25, 25, 2, 1, 10]
    assert written(server)[2:4] == [["S26", "S49"], ["S49"]]
    assert len(clock.pauses) == 2
    assert {request.headers["x-amz-target"] for request in server.requests} == {"DynamoDB_20120810.BatchWriteItem"}


def test_rows_that_stay_unprocessed_fail_the_batch(server: ScriptedServer, table: DynamoTable) -> None:
    server.play(*[unprocessed(3)] * ATTEMPTS)
    with pytest.raises(Unavailable, match="quotes: 1 rows are still unprocessed after 6 attempts"):
        table.put(ROWS[:5])


@pytest.mark.parametrize(
    "body", [b"{}", b"", b"[]", b'{"UnprocessedItems":null}', b'{"UnprocessedItems":{"quotes":7}}']
)
def test_an_answer_that_does_not_say_what_was_left_fails_the_batch(
    server: ScriptedServer, table: DynamoTable, body: bytes
) -> None:
    server.play(answer(200, body))
    with pytest.raises(Unavailable, match="dynamodb BatchWriteItem: invalid response"):
        table.put(ROWS[:5])


def test_of_rows_with_one_key_the_last_is_written(server: ScriptedServer, table: DynamoTable) -> None:
    server.play(unprocessed())
    table.put([*ROWS[:2], {**ROWS[0], "price": Decimal(7)}])
    entries = json.loads(server.requests[0].body)["RequestItems"]["quotes"]
    assert [entry["PutRequest"]["Item"]["price"]["N"] for entry in entries] == ["7", "1"]


def test_attributes_are_exact(server: ScriptedServer, table: DynamoTable) -> None:
    server.play(unprocessed())
    table.put([{"symbol": '"Ä', "timestamp": "t", "a": Decimal("-0.10"), "b": 2**62, "c": Decimal("1E-8")}])
    [entry] = json.loads(server.requests[0].body)["RequestItems"]["quotes"]
    item = entry["PutRequest"]["Item"]
    assert (item["symbol"], item["a"], item["b"]) == ({"S": '"Ä'}, {"N": "-0.10"}, {"N": str(2**62)})
    assert Decimal(item["c"]["N"]) == Decimal("0.00000001")


def test_no_rows_are_no_request(server: ScriptedServer, table: DynamoTable) -> None:
    table.put([])
    assert server.requests == []


def test_what_dynamodb_never_takes_leaves_the_function_so_that_lambda_bisects(
    server: ScriptedServer, table: DynamoTable
) -> None:
    server.play(error("ValidationException", message="Item size has exceeded the maximum allowed size"))
    with pytest.raises(PermanentFailure, match="Item size") as raised:
        table.put(ROWS[:5])
    assert not isinstance(raised.value, Unavailable)


STATE = LaneState(position=Position(7, 10_001))


@pytest.fixture
def states(dynamodb: Service, clock: Clock) -> DynamoStateTable:
    return DynamoStateTable(dynamodb, "state", sleep=clock.sleep)


def test_lanes_are_read_together_consistently_and_what_was_left_again(
    server: ScriptedServer, states: DynamoStateTable
) -> None:
    packed = base64.b64encode(pack(STATE)).decode()
    first = {
        "Responses": {"state": [{"lane": {"S": "a#published"}, "published": {"N": "5"}}]},
        "UnprocessedKeys": {"state": {"Keys": [{"lane": {"S": "a"}}, {"lane": {"S": "b"}}], "ConsistentRead": True}},
    }
    item = {"lane": {"S": "a"}, "last_sequence": {"S": "7"}, "state": {"B": packed}}
    server.play(
        answer(200, json.dumps(first).encode()),
        answer(200, json.dumps({"Responses": {"state": [item]}, "UnprocessedKeys": {}}).encode()),
    )
    read = states.read(["a", "b"])
    assert (read["a"].state, read["a"].published) == (STATE, 5)
    assert (read["b"].state, read["b"].published) == (LaneState(), 0)
    asked = [json.loads(request.body)["RequestItems"]["state"] for request in server.requests]
    assert [[key["lane"]["S"] for key in each["Keys"]] for each in asked] == [
        ["a", "a#published", "b", "b#published"],
        ["a", "b"],
    ]
    assert all(each["ConsistentRead"] for each in asked)


def test_lanes_that_stay_unread_fail_the_batch(server: ScriptedServer, states: DynamoStateTable) -> None:
    left = {"Responses": {}, "UnprocessedKeys": {"state": {"Keys": [{"lane": {"S": "a"}}]}}}
    server.play(*[answer(200, json.dumps(left).encode())] * ATTEMPTS)
    with pytest.raises(Unavailable, match="state: 1 items are still unread after 6 attempts"):
        states.read(["a"])


def test_a_commit_names_what_was_read_and_loses_the_race_to_another(
    server: ScriptedServer, states: DynamoStateTable
) -> None:
    server.play(DONE, error("ConditionalCheckFailedException", message="The conditional request failed"))
    assert states.commit("a", STATE, LaneState()) == len(pack(STATE))
    with pytest.raises(CommitConflict, match="a"):
        states.commit("a", LaneState(position=Position(9, 3)), STATE)
    first, second = (json.loads(request.body) for request in server.requests)
    assert first["ConditionExpression"] == "attribute_not_exists(lane)"
    assert base64.b64decode(first["Item"]["state"]["B"]) == pack(STATE)
    assert (second["ConditionExpression"], second["ExpressionAttributeValues"]) == (
        "last_sequence = :read",
        {":read": {"S": "7"}},
    )
    assert second["Item"]["last_sequence"] == {"S": "9+3"}


def test_a_mark_that_is_higher_stays(server: ScriptedServer, states: DynamoStateTable) -> None:
    server.play(error("ConditionalCheckFailedException"))
    states.raise_mark("a", 5)
    request = json.loads(server.requests[0].body)
    assert request["Item"] == {"lane": {"S": "a#published"}, "published": {"N": "5"}}
    assert request["ConditionExpression"] == "attribute_not_exists(lane) OR published < :published"


def test_the_bars_before_a_minute_come_oldest_first(server: ScriptedServer, dynamodb: Service) -> None:
    items = [{"symbol": {"S": "A"}, "minute": {"S": minute}, "close": {"N": "1.50"}} for minute in ("2", "1")]
    server.play(answer(200, json.dumps({"Items": items, "Count": 2, "ScannedCount": 2}).encode()))
    bars = DynamoBarTable(dynamodb, "bars", ("symbol", "minute"))
    assert bars.before("A", datetime(2026, 11, 23, 14, 30, tzinfo=UTC), 9) == [
        {"symbol": "A", "minute": "1", "close": Decimal("1.50")},
        {"symbol": "A", "minute": "2", "close": Decimal("1.50")},
    ]
    request = json.loads(server.requests[0].body)
    assert (request["Limit"], request["ScanIndexForward"]) == (9, False)
    assert request["ExpressionAttributeValues"][":minute"] == {"S": "2026-11-23T14:30:00.000Z"}


def test_an_object_is_put_under_its_bucket_with_the_digest_of_its_body(
    server: ScriptedServer, connect: Connect
) -> None:
    server.play(answer(503, b"<Error><Code>SlowDown</Code></Error>"), answer(200))
    archive = S3Archive(connect("s3", url_of_bucket("my-bucket", server.url)), "my-bucket")
    assert archive.put("raw-data/dt=2026-11-23/a b+ä.gz", b"body") == "s3://my-bucket/raw-data/dt=2026-11-23/a b+ä.gz"
    request = server.requests[-1]
    assert request.line == "PUT /my-bucket/raw-data/dt%3D2026-11-23/a%20b%2B%C3%A4.gz HTTP/1.1"
    assert request.headers["x-amz-content-sha256"] == "230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5"
    assert (request.headers["content-encoding"], request.body) == ("gzip", b"body")


ALERT = Alert(
    id="price_move:A&B:t",
    rule="price_move",
    severity="warning",
    symbol="A&B",
    timestamp="t",
    subject="A&B moved +5.20% to 105.2",
    values={"price": Decimal("105.2")},
)


def published(*taken: int, failed: Mapping[int, str] = MappingProxyType({})) -> bytes:
    members = "".join(f"<member><Id>{number}</Id><MessageId>1</MessageId></member>" for number in taken)
    errors = "".join(
        f"<member><Id>{number}</Id><Code>{code}</Code><Message>why</Message><SenderFault>true</SenderFault></member>"
        for number, code in failed.items()
    )
    body = (
        '<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult>'
        f"<Failed>{errors}</Failed><Successful>{members}</Successful></PublishBatchResult></PublishBatchResponse>"
    )
    return answer(200, body.encode(), "Content-Type: text/xml")


def sns_error(code: str) -> bytes:
    body = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>why</Message></Error></ErrorResponse>"
    return answer(400, body.encode(), "Content-Type: text/xml")


def alert(number: int, content: str = "") -> Alert:
    return replace(ALERT, id=f"price_move:A&B:{number}", timestamp=content or str(number))


@pytest.fixture
def topic(connect: Connect, clock: Clock) -> SnsTopic:
    return SnsTopic(connect("sns"), "arn:aws:sns:::alerts", sleep=clock.sleep)


def form_of(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode(), strict_parsing=True))


def timestamps_of(request: Request) -> list[str]:
    messages = [value for name, value in form_of(request).items() if name.endswith(".Message")]
    return [json.loads(message)["timestamp"] for message in messages]


def test_alerts_are_a_form_with_attributes_to_filter_on(server: ScriptedServer, topic: SnsTopic) -> None:
    server.play(published(0, 1))
    assert topic.publish([alert(7), ALERT]) == []
    form = form_of(server.requests[0])
    assert (form["Action"], form["TopicArn"]) == ("PublishBatch", "arn:aws:sns:::alerts")
    entry = "PublishBatchRequestEntries.member.2"
    assert (form[f"{entry}.Id"], form[f"{entry}.Subject"]) == ("1", ALERT.subject)
    assert json.loads(form[f"{entry}.Message"])["values"] == {"price": 105.2}
    attributes = f"{entry}.MessageAttributes.entry"
    assert {
        form[f"{attributes}.{number}.Name"]: form[f"{attributes}.{number}.Value.StringValue"] for number in range(1, 6)
    } == {"id": ALERT.id, "rule": "price_move", "severity": "warning", "symbol": "A&B", "symbols": '["A&B"]'}


def test_alerts_go_by_tens_and_by_what_a_request_takes(server: ScriptedServer, topic: SnsTopic) -> None:
    server.play(published(*range(10)), published(0), published(0), published(0, 1), published(0))
    topic.publish([alert(number) for number in range(11)])
    topic.publish([alert(0, 250_000 * "x"), alert(1, 130_000 * "y"), alert(2, 130_000 * "z"), alert(3, 130_000 * "z")])
    assert [len(timestamps_of(request)) for request in server.requests] == [10, 1, 1, 2, 1]


def test_no_alerts_are_no_call(server: ScriptedServer, topic: SnsTopic) -> None:
    assert topic.publish([]) == []
    assert server.requests == []


def test_alerts_that_sns_never_takes_are_told_apart_from_those_it_may_take_later(
    server: ScriptedServer, topic: SnsTopic, clock: Clock
) -> None:
    server.play(published(1, failed={0: "InvalidParameter", 2: "InternalError", 3: "Throttled"}), published(1, 0))
    assert topic.publish([alert(number) for number in range(4)]) == [RefusedAlert(alert(0), "InvalidParameter: why")]
    assert timestamps_of(server.requests[1]) == ["2", "3"]
    assert len(clock.pauses) == 1


def test_an_alert_that_spoils_its_batch_is_found(server: ScriptedServer, topic: SnsTopic) -> None:
    server.play(sns_error("InvalidParameter"), published(0), sns_error("InvalidParameter"), published(0))
    refused = topic.publish([alert(number) for number in range(3)])
    assert refused == [RefusedAlert(alert(1), "sns PublishBatch: InvalidParameter: why")]
    assert [timestamps_of(request) for request in server.requests] == [["0", "1", "2"], ["0"], ["1"], ["2"]]


def test_a_topic_that_refuses_all_fails_the_batch(server: ScriptedServer, topic: SnsTopic) -> None:
    server.play(sns_error("AuthorizationError"))
    with pytest.raises(Unavailable, match="AuthorizationError"):
        topic.publish([ALERT])
    server.play(sns_error("Throttled"), published(0))
    assert topic.publish([ALERT]) == []


@pytest.mark.parametrize(
    ("last", "problem"),
    [
        (published(failed={0: "InternalError"}), "InternalError: why"),
        (published(), "no result: it is not in the response"),
        (published(1, failed={2: "InvalidParameter"}), "no result"),
    ],
)
def test_alerts_that_are_left_again_and_again_fail_the_batch(
    last: bytes, problem: str, server: ScriptedServer, topic: SnsTopic, clock: Clock
) -> None:
    server.play(published(0), *[last] * (ATTEMPTS - 1))
    with pytest.raises(Unavailable, match=f"1 alerts are left after 6 attempts; the last error was {problem}"):
        topic.publish([alert(0), alert(1)])
    assert len(clock.pauses) == ATTEMPTS - 1


def test_an_answer_that_is_none_of_sns_s_fails_the_batch(server: ScriptedServer, topic: SnsTopic) -> None:
    server.play(answer(200, b"<html>", "Content-Type: text/html"))
    with pytest.raises(Unavailable, match="invalid response"):
        topic.publish([ALERT])


def message(number: int, size: int = 10) -> QuarantineMessage:
    return QuarantineMessage(
        id=str(number),
        stream="quotes",
        shard="shard",
        sequence_number="1",
        partition_key="k",
        arrival="t",
        reason="r",
        content=b"x" * size,
    )


def taken(count: int, failed: int = 0) -> bytes:
    body: dict[str, object] = {"Successful": [{"Id": str(index), "MessageId": "m"} for index in range(count)]}
    if failed:
        body["Failed"] = [{"Id": str(count + index), "Code": "InternalError"} for index in range(failed)]
    return answer(200, json.dumps(body).encode())


def test_messages_go_in_batches_that_sqs_takes(server: ScriptedServer, connect: Connect) -> None:
    server.play(taken(10), taken(1), taken(2), taken(1))
    queue = SqsQuarantine(connect("sqs"), "http://queue/quarantine")
    queue.put([message(number) for number in range(11)])
    queue.put([message(number, 64 * 1024) for number in range(3)])
    bodies = [json.loads(request.body) for request in server.requests]
    assert [len(body["Entries"]) for body in bodies] == [10, 1, 2, 1]
    assert {body["QueueUrl"] for body in bodies} == {"http://queue/quarantine"}
    assert json.loads(bodies[0]["Entries"][3]["MessageBody"])["id"] == "3"


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (taken(1, failed=1), "SQS did not accept 1 of 2 messages: .*InternalError"),
        (answer(200, b"{}"), "SQS did not accept 2 of 2 messages: no reason given"),
        (answer(400, b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist"}'), "sqs SendMessageBatch: QueueDoesNotExist"),
    ],
)
def test_a_message_that_the_queue_did_not_take_fails_the_batch(
    server: ScriptedServer, connect: Connect, raw: bytes, problem: str
) -> None:
    server.play(raw)
    with pytest.raises(Unavailable, match=problem):
        SqsQuarantine(connect("sqs"), "url").put([message(1), message(2)])


@pytest.fixture(scope="module")
def strict(replica_python: str) -> Iterator[Emulator]:
    """An emulator that checks signatures and speaks TLS."""
    with Emulator(python=replica_python, policies_enforced=True) as started:
        yield started


def test_an_emulator_that_checks_signatures_takes_what_every_adapter_sends(strict: Emulator, connect: Connect) -> None:
    environment = strict.environment({})

    def service(name: str, url: str = strict.endpoint_url) -> Service:
        return connect(name, url, environment, environment["AWS_CA_BUNDLE"])

    s3, dynamodb = strict.client("s3"), strict.client("dynamodb")
    s3.create_bucket(Bucket="a-bucket")
    S3Archive(service("s3", url_of_bucket("a-bucket", strict.endpoint_url)), "a-bucket").put("raw-data/dt=1/ä", b"x")
    assert s3.get_object(Bucket="a-bucket", Key="raw-data/dt=1/ä")["Body"].read() == b"x"

    for name, keys in (("rows", ("symbol", "timestamp")), ("bars", ("symbol", "minute")), ("state", ("lane",))):
        dynamodb.create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            KeySchema=[
                {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
            BillingMode="PAY_PER_REQUEST",
        )
    DynamoTable(service("dynamodb"), "rows", ("symbol", "timestamp")).put(ROWS)
    assert dynamodb.scan(TableName="rows")["Count"] == len(ROWS)
    bars = DynamoBarTable(service("dynamodb"), "bars", ("symbol", "minute"))
    stored: list[Row] = [
        {"symbol": "A", "minute": f"2026-11-23T14:{minute}:00.000Z", "close": Decimal("1E-8")}
        for minute in (28, 29, 30)
    ]
    bars.put(stored)
    assert bars.before("A", datetime(2026, 11, 23, 14, 30, tzinfo=UTC), 9) == stored[:2]
    states = DynamoStateTable(service("dynamodb"), "state")
    states.commit("a", STATE, LaneState())
    states.raise_mark("a", 3)
    states.raise_mark("a", 2)
    assert (states.read(["a"])["a"].state, states.read(["a"])["a"].published) == (STATE, 3)
    with pytest.raises(CommitConflict):
        states.commit("a", STATE, LaneState())

    queue = strict.client("sqs").create_queue(QueueName="quarantine")["QueueUrl"]
    SqsQuarantine(service("sqs"), queue).put([message(number) for number in range(11)])
    depth = strict.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])
    assert depth["Attributes"]["ApproximateNumberOfMessages"] == "11"
    SnsTopic(service("sns"), strict.client("sns").create_topic(Name="alerts")["TopicArn"]).publish([ALERT, alert(1)])


def test_a_subscription_that_filters_on_a_symbol_hears_of_alerts_about_several(
    strict: Emulator, connect: Connect
) -> None:
    environment = strict.environment({})
    service = connect("sns", strict.endpoint_url, environment, environment["AWS_CA_BUNDLE"])
    sns, sqs = strict.client("sns"), strict.client("sqs")
    topic, queue = sns.create_topic(Name="filtered")["TopicArn"], sqs.create_queue(QueueName="filtered")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    send = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps({"Statement": [send]})})
    policy = {"symbols": ["MSFT"], "severity": ["critical", "warning"]}
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=arn,
        Attributes={"RawMessageDelivery": "true", "FilterPolicy": json.dumps(policy)},
    )
    several = replace(ALERT, id="several", symbol="lane-00-of-04", symbols=("AAPL", "MSFT"))
    SnsTopic(service, topic).publish([ALERT, several, replace(several, id="mild", severity="info")])
    [received] = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=2)["Messages"]
    assert json.loads(received["Body"])["id"] == "several"


def test_an_emulator_that_checks_signatures_refuses_another_s(strict: Emulator, connect: Connect) -> None:
    environment = strict.environment({}) | {"AWS_ACCESS_KEY_ID": "AKIDNOBODY", "AWS_SECRET_ACCESS_KEY": "wrong"}
    service = connect("dynamodb", strict.endpoint_url, environment, environment["AWS_CA_BUNDLE"])
    with pytest.raises(Refused):
        DynamoTable(service, "rows", ("symbol", "timestamp")).put(ROWS[:1])


def test_pauses_are_those_of_full_jitter() -> None:
    pauses = list(aws.pauses())
    assert len(pauses) == ATTEMPTS
    assert len(set(pauses)) == ATTEMPTS
