"""Yahoo's cookies and crumbs, and the consent pages that lead to them in Europe.

Quotes need a crumb, which is bound to the cookie A3. yfinance gets the cookie in two ways: from an error page of
fc.yahoo.com, or by submitting the form of the consent pages (guce.yahoo.com and consent.yahoo.com).
"""

from __future__ import annotations

import secrets
import time
from urllib.parse import parse_qs, urlencode

from tests.fakes.yahoo.messages import HTML, TEXT, Request, Response, error, redirect

YEAR_SECONDS = 31_536_000

_CONSENT = "https://consent.yahoo.com/v2/collectConsent"
_COPY_CONSENT = "https://guce.yahoo.com/copyConsent"
_HOME = "https://finance.yahoo.com/"


class Cookies:
    """The crumbs that were given out, by their cookies. Any cookie named A3 is valid, as from an earlier run."""

    def __init__(self) -> None:
        self._crumbs: dict[str, str] = {}
        self._done_urls: dict[str, str] = {}
        """Where each session of the consent pages returns to."""
        self.crumb_text: str | None = None
        """The text of every new crumb. None means random ones."""

    def expire_crumbs(self) -> None:
        """Make every crumb invalid."""
        self._crumbs.clear()

    def crumb(self, request: Request) -> Response:
        """The crumb of the request's cookie."""
        cookie = request.cookies.get("A3")
        if cookie is None:
            return error(401, "finance", "Unauthorized", "Invalid Cookie")
        crumb = self._crumbs.setdefault(cookie, self.crumb_text or secrets.token_urlsafe(8))
        return Response(200, crumb.encode(), TEXT)

    def refusal(self, request: Request) -> Response | None:
        """Why a request for quotes is refused. None if its crumb is that of its cookie."""
        crumb = request.parameters.get("crumb")
        if crumb is None:
            feedback = "User is unable to access this feature - https://bit.ly/yahoo-finance-api-feedback"
            return error(401, "finance", "Unauthorized", feedback)
        cookie = request.cookies.get("A3")
        if cookie is None or self._crumbs.get(cookie) != crumb:
            return error(401, "finance", "Unauthorized", "Invalid Crumb")
        return None

    def cookie_page(self) -> Response:
        """The page of fc.yahoo.com: not found, but with a cookie."""
        return Response(404, b"<html><body>Not Found</body></html>", HTML, (_new_cookie(),))

    def consent(self, request: Request) -> Response:
        """The start of the consent pages."""
        session = f"3_cc-session_{secrets.token_hex(16)}"
        self._done_urls[session] = request.parameters.get("done", _HOME)
        return redirect(_collect(session))

    def collect(self, request: Request) -> Response:
        """The consent form, or where to go after it was submitted."""
        session = request.parameters.get("sessionId", "")
        if session not in self._done_urls:
            return redirect("https://guce.yahoo.com/consent")
        token = session[-8:]
        if request.method == "POST":
            form = parse_qs(request.body.decode("latin-1"))
            if form.get("csrfToken") != [token] or "agree" not in form:
                return Response(400, b"<html><body>Bad Request</body></html>", HTML)
            return redirect(f"{_COPY_CONSENT}?{urlencode({'sessionId': session})}")
        fields = {"csrfToken": token, "sessionId": session, "originalDoneUrl": _HOME, "namespace": "yahoo"}
        inputs = "".join(f'<input type="hidden" name="{name}" value="{value}">' for name, value in fields.items())
        button = '<button type="submit" name="agree" value="agree">Accept all</button>'
        form_page = f'<!DOCTYPE html><html><body><form method="post" action="">{inputs}{button}</form></body></html>'
        return Response(200, form_page.encode(), HTML)

    def copy(self, request: Request) -> Response:
        """The end of the consent pages, which sets the cookie."""
        done = self._done_urls.get(request.parameters.get("sessionId", ""), _HOME)
        return redirect(done, _new_cookie())


def _collect(session: str) -> str:
    return f"{_CONSENT}?{urlencode({'sessionId': session})}"


def _new_cookie() -> tuple[str, str]:
    expires = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + YEAR_SECONDS))
    value = f"d={secrets.token_urlsafe(9)}&S={secrets.token_urlsafe(6)}"
    attributes = (
        f"Expires={expires}; Max-Age={YEAR_SECONDS}; Domain=.yahoo.com; Path=/; SameSite=None; Secure; HttpOnly"
    )
    return "set-cookie", f"A3={value}; {attributes}"
