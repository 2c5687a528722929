from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from producer_service import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    handlers, level, config = logging.root.handlers, logging.root.level, structlog.get_config()
    yield
    logging.root.handlers, logging.root.level = handlers, level
    structlog.configure(**config)


def test_no_line_holds_the_password_of_a_url(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    url = "http://joe:hunter2@host"

    structlog.get_logger("producer_service.test").warning("failed", detail=f"no answer of {url}", urls=[url])
    logging.getLogger("library").warning("retrying %s", url)
    try:
        int(url)
    except ValueError:
        structlog.get_logger("producer_service.test").exception("died")

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "hunter2" not in str(lines)
    assert [line["event"] for line in lines] == ["failed", "retrying http://***@host", "died"]
    assert (lines[0]["detail"], lines[0]["urls"]) == ("no answer of http://***@host", ["http://***@host"])
    assert "'http://***@host'" in lines[2]["exception"]
