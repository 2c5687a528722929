"""`quote` and `once --dry-run` against the local Yahoo, in processes without AWS settings, as a user runs them."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.fakes.yahoo.local_yahoo import LocalYahoo
from tests.support.waiting import wait_until

FAR_AWAY = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_EC2_METADATA_DISABLED": "true"}


def environment(yahoo: LocalYahoo, **variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PRODUCER_"))}
    return inherited | dict(yahoo.environment) | FAR_AWAY | variables


def run(yahoo: LocalYahoo, *arguments: str, code: int, **variables: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "producer_service", *arguments],
        env=environment(yahoo, **variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_prices_are_exact_json_lines_and_unknown_symbols_lead_to_questions(yahoo: LocalYahoo) -> None:
    done = run(yahoo, "quote", "--json", "AAPL", "btc-usd,BRK.B", "NOSUCHONE", "BAD.B", code=1)

    lines = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    assert [line["symbol"] for line in lines] == ["AAPL", "btc-usd"]
    assert done.stderr.splitlines()[:4] == [
        "FAIL  BRK.B: the source has no price of it; did you mean BRK-B?",
        "FAIL  BAD.B: the source has no price of it; did you mean BAD-B?",
        "FAIL  NOSUCHONE: the source has no price of it",
        "note  btc-usd: did you mean BTC-USD?",
    ]


def test_a_source_that_cannot_be_reached_says_so(yahoo: LocalYahoo) -> None:
    yahoo.add_fault(status=429, times=10)
    done = run(yahoo, "quote", "AAPL", "MSFT", code=1)
    assert "FAIL  AAPL, MSFT: the request failed: rate_limited: HTTP 429" in done.stderr


def test_a_dry_run_takes_the_symbols_of_the_settings_and_needs_no_stream(yahoo: LocalYahoo, tmp_path: Path) -> None:
    watchlist = tmp_path / "groups.toml"
    watchlist.write_text(
        '[[group]]\nname = "us"\nsymbols = ["AAPL"]\n\n'
        '[[group]]\nname = "demo"\nsymbols = ["MSFT"]\nsource = "synthetic"\n'
    )
    done = run(yahoo, "once", "--dry-run", code=0, PRODUCER_WATCHLIST=str(watchlist))
    rows = [line.split()[0] for line in done.stdout.splitlines()]
    assert rows == ["yahoo:", "symbol", "AAPL", "synthetic:", "symbol", "MSFT"]


def test_a_terminal_shows_a_table_in_eighty_columns(yahoo: LocalYahoo) -> None:
    main, secondary = pty.openpty()
    command = [sys.executable, "-m", "producer_service", "quote", "AAPL", "BTC-USD", "EURUSD=X", "VOD.L"]
    with subprocess.Popen(
        command, env=environment(yahoo, COLUMNS="80"), stdin=secondary, stdout=secondary, stderr=secondary
    ) as process:
        os.close(secondary)
        shown = b""
        try:
            while part := os.read(main, 65_536):
                shown += part
        except OSError:  # the process has ended, and with it the other side of the terminal
            pass
        finally:
            os.close(main)
    assert process.returncode == 0, shown
    lines = shown.decode().splitlines()
    assert lines[0] == "yahoo: Yahoo Finance"
    assert [line.split()[0] for line in lines[1:6]] == ["symbol", "AAPL", "BTC-USD", "EURUSD=X", "VOD.L"]
    assert max(map(len, lines[:6])) <= 80


@pytest.mark.timed
def test_a_ctrl_c_ends_a_request_at_once_and_leaves_no_file(yahoo: LocalYahoo, tmp_path: Path) -> None:
    yahoo.add_fault(delay=60, times=-1)
    command = [sys.executable, "-m", "producer_service", "quote", "AAPL"]
    with subprocess.Popen(
        command, env=environment(yahoo, TMPDIR=str(tmp_path)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until(lambda: bool(yahoo.requests()), "it has asked Yahoo", seconds=30)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=3)  # a request takes up to five seconds
    assert (process.returncode, errors) == (130, "")
    assert list(tmp_path.iterdir()) == []
