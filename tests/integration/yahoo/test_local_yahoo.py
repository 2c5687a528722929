"""The local Yahoo with the real yfinance: what the tests of the source, and a person who tries it, rely on."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from tests.fakes.yahoo.local_yahoo import QUOTE_PATH, READY, LocalYahoo
from tests.fakes.yahoo.recordings import single
from tests.support.yahoo_sources import OPEN

ROOT = Path(__file__).parents[3]
QUOTE_URL = f"https://query1.finance.yahoo.com{QUOTE_PATH}"
STREAMER = "wss://streamer.finance.yahoo.com/?version=2"
SECONDS = 10.0
"""How long a test waits at most for something that happens at once."""


@pytest.fixture
def yfinance(
    yahoo: LocalYahoo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> Iterator[Any]:
    """The library, without what it remembers from other tests, in an environment that leads to the local Yahoo."""
    del recwarn  # it restores the warning filters, which yfinance changes
    import yfinance  # noqa: PLC0415
    from yfinance import cache, data  # noqa: PLC0415

    def forget() -> None:
        cache._TzCacheManager._tz_cache = cache._CookieCacheManager._Cookie_cache = None
        cache._ISINCacheManager._isin_cache = None
        data.SingletonMeta._instances.clear()
        data.YfData.cache_get.cache_clear()

    yahoo.set_clock(OPEN.timestamp(), speed=0)
    for name, value in yahoo.environment.items():
        monkeypatch.setenv(name, value)
    forget()
    yfinance.set_tz_cache_location(str(tmp_path))
    hide_exceptions, yfinance.config.debug.hide_exceptions = yfinance.config.debug.hide_exceptions, True
    yield yfinance
    yfinance.config.debug.hide_exceptions = hide_exceptions  # as our client sets it
    forget()


def quotes(*symbols: str, **parameters: str) -> list[dict[str, Any]]:
    """Quotes by yfinance's own request."""
    from yfinance.data import YfData  # noqa: PLC0415

    body = YfData().get_raw_json(QUOTE_URL, params={"symbols": ",".join(symbols), **parameters})
    rows: list[dict[str, Any]] = body["quoteResponse"]["result"]
    return rows


@pytest.mark.usefixtures("yfinance")
class TestQuotes:
    def test_they_need_a_cookie_and_a_crumb(self, yahoo: LocalYahoo) -> None:
        (quote,) = quotes("AAPL")

        assert quote["symbol"] == "AAPL"
        assert [(request.host, request.path) for request in yahoo.requests()] == [
            ("fc.yahoo.com", "/"),
            ("query1.finance.yahoo.com", "/v1/test/getcrumb"),
            ("query1.finance.yahoo.com", QUOTE_PATH),
        ]

    def test_dead_and_unknown_symbols_are_shown_in_three_ways(self) -> None:
        rows = {row["symbol"]: row for row in quotes("aapl", "RIDE", "ADH", "ZZZZ", "NONEXIST")}

        assert rows.keys() == {"AAPL", "RIDE", "ADH"}
        assert rows["RIDE"]["quoteType"] == "NONE"
        assert rows["ADH"]["quoteType"] == "MUTUALFUND"
        assert [name for name, row in rows.items() if "regularMarketPrice" in row] == ["AAPL"]

    def test_an_expired_crumb_is_refused_and_renewed(self, yahoo: LocalYahoo) -> None:
        quotes("AAPL")
        yahoo.reset()
        yahoo.expire_crumbs()

        assert quotes("AAPL")
        assert [(request.path, request.status) for request in yahoo.requests()] == [
            (QUOTE_PATH, 401),
            ("/v1/test/getcrumb", 200),
            (QUOTE_PATH, 200),
        ]

    def test_the_consent_pages_lead_to_a_crumb_too(self, yahoo: LocalYahoo) -> None:
        yahoo.add_fault("^fc.yahoo.com", drop=True, times=-1)

        assert quotes("AAPL")
        pages = [(request.method, request.path) for request in yahoo.requests() if "onsent" in request.path]
        assert pages == [
            ("GET", "/consent"),
            ("GET", "/v2/collectConsent"),
            ("POST", "/v2/collectConsent"),
            ("GET", "/copyConsent"),  # where the form leads to
            ("GET", "/copyConsent"),  # yfinance requests it once more
        ]

    def test_yfinance_accepts_the_consent_page_in_the_place_of_quotes(self, yahoo: LocalYahoo) -> None:
        quotes("AAPL")
        yahoo.add_fault(status=302, headers={"location": f"https://guce.yahoo.com/consent?done={QUOTE_URL}"})

        from yfinance.data import YfData  # noqa: PLC0415

        response = YfData().get(QUOTE_URL, params={"symbols": "AAPL"})

        assert response.url == QUOTE_URL  # where the consent pages return to, without the parameters
        assert "onsent" in yahoo.requests()[-2].path

    def test_too_many_requests_are_an_error_of_yfinance(self, yfinance: Any, yahoo: LocalYahoo) -> None:
        quotes("AAPL")
        yahoo.add_fault(status=429, body="Too Many Requests\r\n", times=-1)

        with pytest.raises(yfinance.exceptions.YFRateLimitError):
            quotes("AAPL")

    def test_the_clock_can_be_set_stopped_and_sped_up(self, yahoo: LocalYahoo) -> None:
        def last_trade(now: float | None, speed: float) -> float:
            yahoo.set_clock(now, speed)
            return float(quotes("BTC-USD")[0]["regularMarketTime"])

        stopped = last_trade(OPEN.timestamp(), 0)
        assert stopped == OPEN.timestamp()
        assert last_trade(OPEN.timestamp(), 1e7) > stopped + 1_000
        assert abs(last_trade(None, 1) - datetime.now(UTC).timestamp()) < SECONDS


class TestCharts:
    def test_download_has_the_minutes_of_the_day(self, yfinance: Any) -> None:
        frame = yfinance.download(["AAPL", "UGA"], period="1d", interval="1m", progress=False, threads=False)
        (quote,) = quotes("AAPL")

        closes = frame["Close"]["AAPL"].dropna()
        assert closes.iloc[-1] == single(quote["regularMarketPrice"])
        assert frame["High"]["AAPL"].max() == single(quote["regularMarketDayHigh"])
        assert frame["Volume"]["AAPL"].sum() == quote["regularMarketVolume"]
        assert frame["Close"]["UGA"].isna().any()
        assert len(frame) == 31  # from the open to now

    def test_history_has_days(self, yfinance: Any) -> None:
        frame = yfinance.Ticker("AAPL").history(period="5d")
        (quote,) = quotes("AAPL")

        assert len(frame) == 5
        assert frame["Close"].iloc[-1] == single(quote["regularMarketPrice"])
        assert frame["Close"].iloc[-2] == single(quote["regularMarketPreviousClose"])

    @pytest.mark.usefixtures("yfinance")
    def test_a_delisted_symbol_has_none(self) -> None:
        from yfinance.data import YfData  # noqa: PLC0415

        response = YfData().get("https://query2.finance.yahoo.com/v8/finance/chart/ZZZZ")

        assert response.status_code == 404
        assert response.json()["chart"]["error"]["description"] == "No data found, symbol may be delisted"


class TestStreaming:
    def test_yfinance_receives_prices(self, yfinance: Any, yahoo: LocalYahoo) -> None:
        yahoo.set_clock(OPEN.timestamp(), speed=60)
        received: list[dict[str, Any]] = []

        def receive(message: dict[str, Any]) -> None:
            received.append(message)
            if len(received) == 6:
                raise KeyboardInterrupt  # the way to end `listen`

        socket = yfinance.WebSocket(verbose=False)
        socket.subscribe(["AAPL", "BTC-USD", "ZZZZ"])
        socket.listen(receive)

        assert {message["id"] for message in received} == {"AAPL", "BTC-USD"}
        times = [int(message["time"]) for message in received if message["id"] == "AAPL"]
        assert times == sorted({*times})
        first = next(message for message in received if message["id"] == "AAPL")
        assert (first["exchange"], first["quote_type"], first["market_hours"]) == ("NMS", 8, 1)

    def test_the_streamed_price_is_that_of_the_quote(self, yfinance: Any) -> None:
        (quote,) = quotes("AAPL")

        async def first_message() -> dict[str, Any]:
            received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
            async with yfinance.AsyncWebSocket(verbose=False) as socket:
                await socket.subscribe(["AAPL"])
                listening = asyncio.create_task(socket.listen(received.put_nowait))
                message = await asyncio.wait_for(received.get(), SECONDS)
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
            return message

        message = asyncio.run(first_message())
        assert message["price"] == pytest.approx(quote["regularMarketPrice"], rel=1e-6)
        assert int(message["time"]) == 1_000 * quote["regularMarketTime"]

    @pytest.mark.usefixtures("yfinance")
    def test_an_unsubscribed_symbol_is_no_longer_sent(self, yahoo: LocalYahoo) -> None:
        yahoo.set_clock(OPEN.timestamp(), speed=60)
        with connect(STREAMER) as socket:
            _subscribe(socket, "AAPL", "BTC-USD")
            assert {_id(socket), _id(socket)} == {"AAPL", "BTC-USD"}
            socket.send(json.dumps({"unsubscribe": ["AAPL"]}))
            assert {_id(socket) for _ in range(6)} <= {"AAPL", "BTC-USD"}  # some may be on their way
            assert {_id(socket) for _ in range(4)} == {"BTC-USD"}

    @pytest.mark.usefixtures("yfinance")
    @pytest.mark.parametrize("code", [1001, 1012, None])
    def test_a_test_can_end_the_connections(self, yahoo: LocalYahoo, code: int | None) -> None:
        with connect(STREAMER) as socket:
            _subscribe(socket, "AAPL")
            socket.recv(SECONDS)

            yahoo.disconnect_streams(code)

            with suppress(ConnectionClosed):
                while True:
                    socket.recv(SECONDS)
            assert socket.close_code == (1006 if code is None else code)

    @pytest.mark.usefixtures("yfinance")
    def test_a_client_that_disappears_or_sends_rubbish_does_no_harm(self, yahoo: LocalYahoo) -> None:
        program = f"""
import os
from websockets.sync.client import connect
socket = connect({STREAMER!r}, legacy=True)
socket.send('{{"subscribe": ["AAPL"]}}')
socket.recv()
os._exit(0)
"""
        subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
        with connect(STREAMER) as socket:
            socket.send("rubbish")
            with pytest.raises(ConnectionClosedError):
                socket.recv(SECONDS)

        with connect(STREAMER) as socket:
            _subscribe(socket, "AAPL")
            assert _id(socket) == "AAPL"
        assert yahoo.requests("/")


class TestControl:
    @pytest.mark.parametrize(
        ("path", "body", "status"),
        [
            ("/control/faults", b'{"path": "("}', 400),
            ("/control/faults", b'{"pth": "x"}', 400),
            ("/control/faults", b'{"status": 7}', 400),
            ("/control/clock", b"{}", 400),
            ("/control/unknown", b"", 404),
        ],
    )
    def test_a_mistake_is_explained(self, yahoo: LocalYahoo, path: str, body: bytes, status: int) -> None:
        url = yahoo.environment["HTTPS_PROXY"]
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url + path, body, timeout=SECONDS)

        assert caught.value.code == status
        assert caught.value.read()

    def test_only_hosts_of_yahoo_are_served(self, yahoo: LocalYahoo) -> None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({"https": yahoo.environment["HTTPS_PROXY"]}))

        with pytest.raises(urllib.error.URLError, match="403"):
            opener.open("https://example.org/", timeout=SECONDS)


class TestCommand:
    def test_the_printed_variables_lead_yfinance_to_it_and_ctrl_c_ends_it(self, tmp_path: Path) -> None:
        command = [sys.executable, "-m", "tests.fakes.yahoo", "--port", "0", "--now", "2026-11-23T15:00Z"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            printed = ""
            while READY not in printed:
                line = process.stdout.readline()
                assert line, process.stderr.read()
                printed += line
            program = """
import warnings, yfinance
warnings.simplefilter("ignore")
print(yfinance.download("AAPL", period="1d", interval="1m", progress=False).index[0])
"""
            shell = f"{printed}\n{shlex.quote(sys.executable)} -c {shlex.quote(program)}"
            environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
            done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, env=environment, check=False)
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=SECONDS)

        assert done.stdout == "2026-11-23 09:30:00-05:00\n", done.stderr
        assert (process.returncode, rest, errors) == (0, "", "")
        assert list(tmp_path.iterdir()) == []

    def test_a_copy_of_its_folder_runs_by_itself(self, tmp_path: Path) -> None:
        """Containers mount nothing else of the repository."""
        shutil.copytree(ROOT / "tests/fakes/yahoo", tmp_path / "tests/fakes/yahoo")
        command = [sys.executable, "-m", "tests.fakes.yahoo", "--help"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

        assert done.returncode == 0, done.stderr

    def test_a_port_in_use_is_reported(self, yahoo: LocalYahoo) -> None:
        port = yahoo.environment["HTTPS_PROXY"].rpartition(":")[2]
        command = [sys.executable, "-m", "tests.fakes.yahoo", "--port", port]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

        assert done.returncode == 1
        assert done.stderr.startswith("the local Yahoo cannot start: ")
        assert done.stderr.count("\n") == 1

    def test_it_says_that_it_needs_openssl(self, tmp_path: Path) -> None:
        command = [sys.executable, "-m", "tests.fakes.yahoo", "--port", "0"]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, env={"PATH": str(tmp_path)}
        )

        assert done.returncode == 1
        assert "openssl is not on the PATH" in done.stderr

    def test_help_explains_the_control_endpoints(self) -> None:
        command = [sys.executable, "-m", "tests.fakes.yahoo", "--help"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)

        assert "/control/faults" in done.stdout


def _subscribe(socket: ClientConnection, *symbols: str) -> None:
    socket.send(json.dumps({"subscribe": list(symbols)}))


def _id(socket: ClientConnection) -> str:
    """The symbol of the next message."""
    from yfinance.pricing_pb2 import PricingData  # noqa: PLC0415

    message = json.loads(socket.recv(SECONDS))["message"]
    symbol: str = PricingData.FromString(base64.b64decode(message)).id
    return symbol
