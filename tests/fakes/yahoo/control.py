"""The control endpoints: plain HTTP on the port of the proxy, for tests and for a person with curl."""

from __future__ import annotations

import re

import msgspec

from tests.fakes.yahoo.chart_faults import ChartFault
from tests.fakes.yahoo.clock import Clock
from tests.fakes.yahoo.corporate_actions import Events
from tests.fakes.yahoo.faults import Fault, Faults, RequestLog
from tests.fakes.yahoo.messages import TEXT, Request, Response, json
from tests.fakes.yahoo.recordings import Minute
from tests.fakes.yahoo.site import Site
from tests.fakes.yahoo.streaming import StreamFaults, Streams

HELP = """\
GET  /control/requests        the requests since the last reset, oldest first
POST /control/reset           forget requests, faults, crumbs, actions and recordings
POST /control/expire-crumbs   make every crumb invalid
POST /control/actions         {"symbol": "AAPL", "events": {"splits": {"1": {"date": 1795444200, "numerator": 4,
                              "denominator": 1}}}} declares events in charts, and applies splits to prices
POST /control/crumb           {"text": "a/b%c"} makes every new crumb this text, {"text": null} random again
POST /control/clock           {"now": 1795446000, "speed": 1} sets the clock
                              {"now": null} returns to the machine's time
POST /control/faults          {"path": "finance/quote", "status": 429, "body": "Too Many Requests", "times": 3}
                              {"path": "", "delay": 2.5} delays by seconds, {"drop": true} closes the connection;
                              {"path": "^fc", "connect": "refuse"} fails new connections ("garble": no TLS);
                              "times": -1 is always, "skip": 2 leaves the first two alone, "query": "interval=1m" is one
                              found in the query; {"cut": 0.5} answers with half of the body
POST /control/recording       {"symbol": "AAPL", "minutes": [[1795444200, 271.1, 271.5, 271, 271.2, 900]]} declares all
                              minutes in which it trades, which charts of every interval then show
POST /control/charts          {"symbol": "AAPL", "cut": [[1795444200, 1795447800]]} has charts lack an hour, "null",
                              "no_volume" and "repeat" disturb its rows; "ends_at": 1795447800, "closing_rows": true,
                              "reverse": true, "meta": {"currency": "EUR"}; "interval": "1m" and "times": 1 limit it
POST /control/disconnect      {"code": 1001} ends all streaming connections, {"code": null} without a close frame
POST /control/stream          {"stall": true} sends no prices, {"deaf": true} ignores clients, {"garbage": true},
                              {"duplicate": true} and {"reorder": true} disturb the messages; {} ends all that
"""


class ClockSetting(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request to set the clock."""

    now: float | None
    speed: float = 1.0


class CrumbSetting(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request to set the text of crumbs."""

    text: str | None


class DeclaredActions(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request to declare corporate actions."""

    symbol: str
    events: Events


class Recording(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request to declare the minutes of a symbol."""

    symbol: str
    minutes: list[Minute]


class Disconnection(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request to end the streaming connections."""

    code: int | None = None


class Control:
    """Answers the requests to control the local Yahoo."""

    def __init__(self, site: Site, streams: Streams, clock: Clock, faults: Faults, log: RequestLog) -> None:
        self._site = site
        self._streams = streams
        self._clock = clock
        self._faults = faults
        self._log = log

    def respond(self, request: Request) -> Response:
        """Do what the request asks for."""
        try:
            return self._respond(request)
        except (msgspec.MsgspecError, re.error) as error:
            return Response(400, f"{error}\n".encode(), TEXT)

    def _respond(self, request: Request) -> Response:
        match request.method, request.path:
            case "GET", "/control/requests":
                return json(list(self._log.entries))
            case "POST", "/control/reset":
                self._log.entries.clear()
                self._faults.clear()
                self._site.cookies.crumb_text = None
                self._site.actions.clear()
                self._site.charts.recordings.clear()
                self._site.charts.faults.clear()
                self._site.quotes.forget()
                self._streams.faults = StreamFaults()
            case "POST", "/control/expire-crumbs":
                self._site.cookies.expire_crumbs()
            case "POST", "/control/actions" | "/control/recording" | "/control/charts":
                self._declare(request)
            case "POST", "/control/crumb":
                self._site.cookies.crumb_text = msgspec.json.decode(request.body, type=CrumbSetting).text
            case "POST", "/control/clock":
                setting = msgspec.json.decode(request.body, type=ClockSetting)
                self._clock.set(setting.now, setting.speed)
            case "POST", "/control/faults":
                self._faults.add(msgspec.json.decode(request.body, type=Fault))
            case "POST", "/control/disconnect" | "/control/stream":
                self._disturb(request)
            case "GET", "/":
                return Response(200, HELP.encode(), TEXT)
            case _:
                return Response(404, HELP.encode(), TEXT)
        return json({})

    def _declare(self, request: Request) -> None:
        """Declare what charts show."""
        if request.path == "/control/actions":
            declared = msgspec.json.decode(request.body, type=DeclaredActions)
            self._site.actions.declare(declared.symbol, declared.events)
            self._site.quotes.forget()
        elif request.path == "/control/recording":
            recording = msgspec.json.decode(request.body, type=Recording)
            self._site.charts.recordings.declare(recording.symbol, recording.minutes)
        else:
            self._site.charts.faults.add(msgspec.json.decode(request.body, type=ChartFault))

    def _disturb(self, request: Request) -> None:
        if request.path == "/control/stream":
            self._streams.faults = msgspec.json.decode(request.body, type=StreamFaults)
        else:
            self._streams.disconnect(msgspec.json.decode(request.body, type=Disconnection).code)
