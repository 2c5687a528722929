"""What a browser tells of the pages in it: broken policies, errors, and requests that leave this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, WebError

HERE = "127.0.0.1"
# The answers themselves are not an error of the page: the page says so in its banner.
NO_ERRORS_OF_THE_PAGE = ("Failed to load resource",)
REPORT = """document.addEventListener("securitypolicyviolation", (event) =>
  reportViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`))"""


@dataclass
class Watched:
    """What should not happen. Each entry describes one event."""

    violations: list[str] = field(default_factory=list)
    """Of the Content Security Policy."""
    errors: list[str] = field(default_factory=list)
    """Uncaught errors, and errors and warnings on the console."""
    outside: list[str] = field(default_factory=list)
    """Requests to other hosts."""


@contextmanager
def watched(context: BrowserContext) -> Iterator[Watched]:
    """Watch all pages of a context for as long as the block lasts."""
    seen = Watched()

    def on_console(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(NO_ERRORS_OF_THE_PAGE):
            seen.errors.append(f"{message.type}: {message.text}")

    def on_error(error: WebError) -> None:
        seen.errors.append(str(error.error))

    def on_request(request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in {"data", "blob"} and url.hostname != HERE:
            seen.outside.append(request.url)

    def on_violation(violation: str) -> None:
        seen.violations.append(violation)

    context.expose_function("reportViolation", on_violation)
    context.add_init_script(REPORT)
    context.on("console", on_console)
    context.on("weberror", on_error)
    context.on("request", on_request)
    yield seen
