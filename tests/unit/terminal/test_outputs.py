"""Whatever outsiders write, no program's output for people draws on a terminal, and none of the text is dropped."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import typer
from botocore.exceptions import ClientError
from msgspec.structs import replace
from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner
from typer.testing import Result as Run

from analytics import catalog, formatting
from analytics.duckdb_engine import Engine, QueryError
from analytics.pager import Screen
from analytics.result import Result
from analytics.session import Session
from costs.usage import Usage
from deployment import cli as deployment_cli
from deployment.alert_rules import RulesChange
from deployment.errors import DeploymentError
from deployment.functions import ROOT
from deployment.place import Place
from deployment.serving import Serving
from deployment.stage_objects import StageObjects
from deployment.watchlist_object import WatchlistChange
from operations import cli as operations_cli
from operations import quarantine_cli
from operations.aws import translated_errors
from operations.cli import app as operations
from processor_lambda.ports import QuarantineMessage
from producer_service import cli as producer_cli
from replica.audit import Findings
from replica.monitor import NOTHING, Price
from replica.view import View
from terminal import printable
from terminal.output import echo_error
from tests.fakes.filled_quarantine import FilledQuarantine
from tests.support.hostile_texts import EVERY_CONTROL, HOSTILE, harmless
from tests.support.sizes import FULL

TEXTS = [*(HOSTILE if FULL else [" ".join(HOSTILE)]), *EVERY_CONTROL]
HIDDEN = "\ud800 \udfff"
"""Halves of surrogate pairs, which JSON can hold and UTF-8 cannot."""
KNOWN = catalog.read()
_FRAME = re.compile(r"[\s│┃┏┓┗┛┡┩┌┐└┘├┤┬┴┼─━╇╰╯╭╮]+")


def shows(output: str, *texts: str) -> bool:
    """Whether an output is harmless and has each text, perhaps folded in the cells of a table."""
    flat = _FRAME.sub("", output)
    return harmless(output) and all(_FRAME.sub("", printable(text)) in flat for text in texts)


def run(app: typer.Typer, *arguments: str, code: int = 0, env: Mapping[str, str] | None = None) -> Run:
    done: Run = CliRunner().invoke(app, [*arguments], env=env)
    assert isinstance(done.exception, SystemExit | None), done.exception
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def target(tmp_path: Path) -> tuple[str, str]:
    """The option that names the resources."""
    file = tmp_path / "outputs"
    file.write_text("QuarantineQueueUrl=https://queue\nArchiveBucket=bucket\nStreamName=quotes\n")
    return "--outputs-file", str(file)


@pytest.fixture
def filled(monkeypatch: pytest.MonkeyPatch) -> FilledQuarantine:
    """A quarantine that the commands read."""
    quarantine = FilledQuarantine()
    monkeypatch.setattr(quarantine_cli, "out", Console(width=4_000, highlight=False))  # so that no cell is folded
    monkeypatch.setattr(quarantine_cli, "client", lambda *_, **__: None)
    monkeypatch.setattr(quarantine_cli, "SqsQueue", lambda *_: quarantine.queue)
    monkeypatch.setattr(quarantine_cli, "S3ObjectStore", lambda *_: quarantine.store)
    monkeypatch.setattr(operations_cli, "client", lambda *_, **__: None)
    monkeypatch.setattr(operations_cli, "S3ObjectStore", lambda *_: quarantine.store)
    return quarantine


def put_message(quarantine: FilledQuarantine, text: str, content: bytes) -> None:
    """Put a message of which an outsider wrote every field."""
    message = QuarantineMessage(
        id=text,
        stream=text,
        shard=text,
        sequence_number="1",
        partition_key=text,
        arrival="2026-11-23T14:30:00.000Z",
        line=1,
        reason=text,
        content=content,
    )
    quarantine.queue.bodies = {"message": msgspec.json.encode(message).decode()}


@pytest.mark.parametrize("text", TEXTS, ids=itertools.count())
def test_the_quarantine_commands(filled: FilledQuarantine, target: tuple[str, str], text: str) -> None:
    put_message(filled, text, text.encode())
    listed = run(operations, "quarantine", "list", *target)
    assert shows(listed.stdout, text)
    as_json = run(operations, "quarantine", "list", "--json", *target).stdout
    assert as_json.isascii()
    assert harmless(as_json)
    assert json.loads(as_json)["reason"] == json.loads(as_json)["shard"] == text
    handle = json.loads(as_json)["handle"]
    described = run(operations, "quarantine", "show", handle, *target).stdout
    assert shows(described, f"id        {text}", f"stream {text}", f"key {text}", f"why       {text}")
    if printable(text) != text:
        assert text.encode()[:16].hex(" ") in described
    raw = run(operations, "quarantine", "show", "--raw", handle, *target)
    assert raw.stdout_bytes == text.encode() + b"\n"
    refused = run(operations, "quarantine", "replay", "--all", "--dry-run", *target, code=1)
    assert harmless(refused.stderr)
    assert shows(run(operations, "quarantine", "show", f"x{text}".replace("\0", ""), *target, code=1).stderr)
    dropped = run(operations, "quarantine", "drop", handle, *target, code=1)  # nobody confirms
    assert shows(dropped.output, text)


@pytest.mark.parametrize("text", [*TEXTS, HIDDEN], ids=itertools.count())
def test_a_foreign_message_in_the_queue(filled: FilledQuarantine, target: tuple[str, str], text: str) -> None:
    filled.queue.bodies = {text: text}
    assert harmless(run(operations, "quarantine", "list", *target).stdout)
    as_json = run(operations, "quarantine", "list", "--json", *target).stdout
    assert harmless(as_json)
    assert json.loads(as_json)["body"] == text
    handle = json.loads(as_json)["handle"]
    assert shows(run(operations, "quarantine", "show", handle, *target).stdout, f"id        {text}")
    raw = run(operations, "quarantine", "show", "--raw", handle, *target)
    assert raw.stdout_bytes == text.encode(errors="surrogatepass") + b"\n"


@pytest.mark.parametrize("text", TEXTS, ids=itertools.count())
def test_keys_of_objects_and_errors_of_aws(
    filled: FilledQuarantine, target: tuple[str, str], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    filled.store.objects = {f"s3://bucket/aws/lambda/{text}": b"rubbish"}
    assert shows(run(operations, "redrive", "--dry-run", *target, code=1).stderr, f"aws/lambda/{text} is not a batch")

    def denied(*_: Any, **__: Any) -> None:
        with translated_errors("sqs"):
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": text}}, "ReceiveMessage")

    monkeypatch.setattr(quarantine_cli, "client", denied)
    failed = run(operations, "quarantine", "list", *target, code=1).stderr
    assert shows(failed, *text.split("\n"))
    assert re.findall("^error:", failed, re.MULTILINE) == ["error:"]


@pytest.mark.parametrize("text", TEXTS, ids=itertools.count())
def test_a_deployment(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    class Refused:
        prefix = "stockstream-dev"
        stacks = ()

        def check(self, *_: Any) -> None:
            """Every parameter is right."""

        prefix, stacks = "stockstream-dev", ()

        def stack(self, _name: str) -> None:
            """There is none yet."""

        def value_of(self, *_: Any) -> None:
            """No parameter has a value."""

        def held(self) -> Mapping[str, str]:
            return {}

        def values(self, *_: Any) -> Mapping[str, str]:
            return {}

        def report(self, _text: str) -> None:
            """Nobody reads it."""

        def preview(self, *_: Any, **__: Any) -> dict[str, tuple[str, ...]]:
            return {text: (text,)}

        def deploy(self, *_: Any, **__: Any) -> None:
            raise DeploymentError(text)

    objects = StageObjects(cast(Any, None), RulesChange(), WatchlistChange(notes=(text,)))
    refused = Refused()
    serving = Serving(cast(Any, refused), cast(Any, refused), "dev")
    for name, stand_in in {
        "_deployment": refused,
        "choose_serving": serving,
        "_place_of": Place("000000000000", "eu-west-1"),
        "_adopter": None,
        "choose": (),
        "choose_objects": objects,
    }.items():
        monkeypatch.setattr(deployment_cli, name, lambda *_, made=stand_in, **__: made)
    assert shows(run(deployment_cli.app, "deploy", "--dry-run").stderr, text)
    assert shows(run(deployment_cli.app, "deploy", "--dry-run").stdout, text)
    assert shows(run(deployment_cli.app, "deploy", code=1).stderr, *text.split("\n"))


@pytest.mark.parametrize("text", [text.replace("\0", "") for text in TEXTS], ids=itertools.count())
def test_mistakes_in_the_settings_of_the_producer(text: str) -> None:
    refused = run(producer_cli.app, "check", code=2, env={"PRODUCER_SYMBOLS": f"{text},AAPL", "PRODUCER_LANES": text})
    assert harmless(refused.stderr)
    assert "PRODUCER_LANES" in refused.stderr


def drawn(draw: Callable[[Console], None]) -> str:
    console = Console(file=io.StringIO(), width=200, color_system=None)
    draw(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("text", TEXTS, ids=itertools.count())
def test_the_demo(text: str) -> None:
    snapshot = replace(NOTHING, prices=(Price("AAPL", "170.00", ""),))
    shown: dict[str, Any] = {"state": "running", "prices": "simulated prices", "dashboard_url": "http://127.0.0.1"}

    def plain(console: Console) -> None:
        view = View(console)
        view.report(text)
        view._printed_at = -10.0
        view.update(snapshot, [text], notes=(text,), warning=text, **shown)

    def window(console: Console) -> None:
        view = View(console)
        view._reports = []
        view.report(text)
        view.update(snapshot, [text], notes=(text,), warning=text, **shown)
        console.print(Text("\n").join(view._lines(4_000, 50)), soft_wrap=True)

    def summary(console: Console) -> None:
        findings = Findings(**dict.fromkeys(Findings.__struct_fields__, 0))
        View(console).summarize(
            findings, snapshot, Usage(), None, prices="simulated prices", mode="fast", notes=(text,)
        )

    assert shows(drawn(plain), text, f"alert: {text}", f"note: {text}", f"({text})")
    assert shows(drawn(window), text, f"producer: {text}")
    assert shows(drawn(summary), f"note: {text}")


@pytest.mark.parametrize("text", [*TEXTS, "-5 apples", "+1", "@x"], ids=itertools.count())
def test_results_of_sql(text: str) -> None:
    result = Result((text, "n"), ("VARCHAR", "DECIMAL(18,8)"), ((text, Decimal("-37.63")), (None, None)))
    for draw in (formatting.table, formatting.records):
        assert shows("\n".join(draw(formatting.texts(result))), text)
    encoded = "\n".join(formatting.as_json(result))
    assert encoded.isascii()
    assert harmless(encoded)
    assert json.loads(encoded, parse_float=Decimal)[0] == {text: text, "n": Decimal("-37.63")}
    as_csv = "\n".join(formatting.as_csv(result))
    assert harmless(as_csv)
    header, row, _ = csv.reader(io.StringIO(as_csv))
    assert header[0] == row[0]
    assert row[0].removeprefix("'") == printable(text)
    assert row[1] == "-37.63"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1+1", "'+1+1"),
        ("-1+1", "'-1+1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("  =1", "'  =1"),
        ("\uff1d1", "'\uff1d1"),
        ("\t=1", "'\\t=1"),
        ("-37.63", "-37.63"),
        ("+1e-7", "+1e-7"),
        ("^GSPC", "^GSPC"),
        ("EURUSD=X", "EURUSD=X"),
    ],
)
def test_a_spreadsheet_takes_no_text_in_csv_for_a_formula(text: str, cell: str) -> None:
    (_, row) = csv.reader(formatting.as_csv(Result(("x",), ("VARCHAR",), ((text,),))))
    assert row == [cell]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(KNOWN, tmp_path_factory.mktemp("empty"))


@pytest.mark.parametrize("text", [text.replace("\0", "") for text in TEXTS], ids=itertools.count())
def test_columns_and_errors_of_sql(engine: Engine, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    quoted, literal = text.replace('"', '""'), text.replace("'", "''")
    for output_format in ("table", "csv", "json"):
        session = Session(KNOWN, engine, Screen(None), output_format)
        session.run(f"SELECT '{literal}' AS \"{quoted}\"")
    assert harmless(capsys.readouterr().out)
    with pytest.raises(QueryError) as failed:
        engine.run(f"SELECT CAST('{literal}' AS INTEGER)")
    echo_error(failed.value)
    assert shows(capsys.readouterr().err, *text.split("\n"))


def test_a_long_value_is_cut_in_tables_only() -> None:
    result = Result(("x",), ("VARCHAR",), (("y" * 100_000,),))
    assert "(99,000 more characters)" in "\n".join(formatting.table(formatting.texts(result)))
    assert len("\n".join(formatting.as_csv(result))) > 100_000
    assert len("\n".join(formatting.as_json(result))) > 100_000


def test_programs_print_through_one_function() -> None:
    direct = re.compile(r"typer\.echo\(|click\.echo\(|(?<!\.)\bprint\(|typer\.secho\(")
    printing = {
        str(path.relative_to(ROOT))
        for package in ROOT.glob("*/__init__.py")
        for path in package.parent.rglob("*.py")
        if direct.search(path.read_text(encoding="utf-8")) and package.parent.name not in ("tests", "benchmarks")
    }
    assert printing == {"terminal/output.py"}
