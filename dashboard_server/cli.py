"""The command line of `python -m dashboard_server`."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
import uvicorn

from dashboard_server.application import application, missing
from dashboard_server.proxy import Proxy
from dashboard_server.site import is_built
from terminal.output import echo, echo_error
from terminal.program import called
from terminal.version import VersionOption
from workspace.places import ROOT

PORT = 8000
"""The port that people expect. Another one is taken only if this is in use and none was asked for."""
PAGE = ROOT / "web" / "dist"
WRONG_USAGE = 2
STOP_SECONDS = 2

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
COMMAND = called("dashboard_server", command="dashboard")
EXAMPLES = f"""\b
Example:
  {COMMAND} --api http://127.0.0.1:4566/_aws/execute-api/0a1b2c3d
"""


@app.command(epilog=EXAMPLES)
def serve(  # noqa: PLR0917  (options, by name)
    api: Annotated[str, typer.Option(metavar="URL", help="The query API. /v1/… and /udf/… are passed on to it.")],
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Where to listen. Without it, 8000, or a free port if that is in use."),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            help="The address to listen at, by which browsers open it. One that others reach lets them read too."
        ),
    ] = "127.0.0.1",
    stage: Annotated[str, typer.Option(help="The name that the page shows.")] = "demo",
    page: Annotated[
        Path, typer.Option(metavar="DIRECTORY", help="The built page.", show_default="web/dist of this checkout")
    ] = PAGE,
    connect_to: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The address to connect to, if it is not that of the API's name."),
    ] = None,
    ca_bundle: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The certificates to trust, in place of the usual ones.")
    ] = None,
    version: VersionOption = False,  # noqa: ARG001, FBT002  (an option, by name; it ends the program)
) -> None:
    """Serve the dashboard and a query API on this machine, until Ctrl-C.

    It asks for no login. So it listens only on this machine unless you say otherwise, and passes on nothing but reading
    requests to this one API.
    """
    for name, url in (("--api", api), ("--connect-to", connect_to)):
        if url is not None and not _is_url(url):
            echo_error(f"{name}: {url!r} is no URL; it begins with http:// or https://")
            raise typer.Exit(WRONG_USAGE)
    try:
        listener = listening(host, port)
    except OSError as error:
        echo_error(f"the dashboard cannot listen at {host}:{PORT if port is None else port}: {error.strerror or error}")
        raise typer.Exit(WRONG_USAGE) from error
    proxy = Proxy(api, connect_to=connect_to, ca_bundle=ca_bundle)
    if not is_built(page):
        echo(missing(page), err=True)
    echo(f"dashboard: http://{_shown(host)}:{listener.getsockname()[1]}/")
    settings = uvicorn.Config(
        application(proxy, page, stage=stage, names=(host,)),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    with suppress(KeyboardInterrupt):
        uvicorn.Server(settings).run(sockets=[listener])


def listening(host: str, port: int | None) -> socket.socket:
    """A socket that listens at a port: this one, or by default 8000 or a free one. Raises `OSError`."""
    try:
        return _bound(host, PORT if port is None else port)
    except OSError:
        if port is not None:
            raise
    return _bound(host, 0)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=128)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
