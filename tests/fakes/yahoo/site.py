"""The hosts and paths of Yahoo that the local Yahoo answers for."""

from __future__ import annotations

from tests.fakes.yahoo.charts import Charts
from tests.fakes.yahoo.clock import Clock
from tests.fakes.yahoo.cookies import Cookies
from tests.fakes.yahoo.corporate_actions import CorporateActions
from tests.fakes.yahoo.messages import HTML, Request, Response, error
from tests.fakes.yahoo.prices import Prices
from tests.fakes.yahoo.quotes import Quotes
from tests.fakes.yahoo.tapes import Tapes

STREAMER = "streamer.finance.yahoo.com"

_API_HOSTS = ("query1.finance.yahoo.com", "query2.finance.yahoo.com")
_CHART = "/v8/finance/chart/"
_MAX_AGE = ("cache-control", "public, max-age=1, stale-while-revalidate=9")


class Site:
    """Answers requests as Yahoo does."""

    def __init__(self, clock: Clock, seed: int) -> None:
        tapes = Tapes(Prices(seed))
        self.cookies = Cookies()
        self.actions = CorporateActions()
        self.quotes = Quotes(tapes, self.actions)
        self.charts = Charts(tapes, self.actions)
        self._clock = clock

    def respond(self, request: Request) -> Response:
        """The response to a request that is no WebSocket."""
        if request.host in _API_HOSTS:
            return self._api(request, request.path)
        return self._page(request)

    def _page(self, request: Request) -> Response:
        """A page of the other hosts: cookies and consent."""
        match request.host, request.path:
            case "fc.yahoo.com", _:
                return self.cookies.cookie_page()
            case "guce.yahoo.com", "/consent":
                return self.cookies.consent(request)
            case "guce.yahoo.com", "/copyConsent":
                return self.cookies.copy(request)
            case "consent.yahoo.com", "/v2/collectConsent":
                return self.cookies.collect(request)
            case "finance.yahoo.com", _:
                return Response(200, b"<!DOCTYPE html><html><body>Yahoo Finance</body></html>", HTML)
        return Response(404, b"<!DOCTYPE html><html><body>Not Found</body></html>", HTML)

    def _api(self, request: Request, path: str) -> Response:
        if path == "/v1/test/getcrumb":
            return self.cookies.crumb(request)
        if path.startswith(_CHART):
            return self.charts.response(path.removeprefix(_CHART), request.parameters, self._clock.now())
        if path == "/v7/finance/quote":
            return self.cookies.refusal(request) or self._quotes_response(request)
        return error(404, "finance", "Not Found", "HTTP 404 Not Found")

    def _quotes_response(self, request: Request) -> Response:
        symbols = _listed(request.parameters.get("symbols", ""))
        if not symbols:
            return error(400, "finance", "Bad Request", 'Missing value for the "symbols" argument')
        fields = {*_listed(request.parameters.get("fields", ""))}
        return Response(200, self.quotes.body(symbols, fields, self._clock.now()), headers=(_MAX_AGE,))


def _listed(text: str) -> list[str]:
    """The distinct values of a list with commas, in their order."""
    return list(dict.fromkeys(value for value in text.split(",") if value))
