"""A stand-in of Yahoo on this machine: one process that answers as Yahoo does, with a port to tell it to misbehave.

It is no part of the repository: STOCKSTREAM_YAHOO_STANDIN names its folder. The real client reaches it by environment
variables alone, as a proxy whose certificate authority it is told to trust.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

VARIABLE = "STOCKSTREAM_YAHOO_STANDIN"
QUOTE_PATH = "/v7/finance/quote"


class YahooStandin:
    """The running stand-in: how to reach it, what it was asked, and how it shall answer."""

    def __init__(self, port: int, authority: Path, scratch: Path) -> None:
        self._control = f"http://127.0.0.1:{port}/__ctl"
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        proxy = f"http://127.0.0.1:{port}"
        self.environment: Mapping[str, str] = {
            "HTTPS_PROXY": proxy,
            "https_proxy": proxy,
            "NO_PROXY": "",
            "no_proxy": "",
            "REQUESTS_CA_BUNDLE": str(authority),
            "SSL_CERT_FILE": str(authority),
            "XDG_CACHE_HOME": str(scratch / "cache"),
        }
        """What a process needs in its environment for its Yahoo to be this one."""

    def reset(self) -> None:
        """Forget requests and rules."""
        self._post("reset")

    def forget_crumbs(self) -> None:
        """Every crumb given out is expired."""
        self._post("forget")

    def set_clock(self, epoch: float | None) -> None:
        """Run from this time on; None is the machine's clock."""
        self._post("now", now=epoch)

    def misbehave(self, path: str = QUOTE_PATH, **rule: Any) -> None:
        """Answer requests whose host and path match: status=, body=, delay=, drop=, times= (1; -1 is always)."""
        self._post("rule", path=path, **rule)

    def requests(self, path: str = "") -> list[dict[str, Any]]:
        """The requests seen whose path begins so, oldest first."""
        with self._open(f"{self._control}/log", timeout=10) as response:
            return [request for request in json.load(response) if request["path"].startswith(path)]

    def asked_symbols(self) -> list[list[str]]:
        """The symbols of each quote request."""
        return [parse_qs(request["query"])["symbols"][0].split(",") for request in self.requests(QUOTE_PATH)]

    def _post(self, what: str, **body: Any) -> None:
        request = urllib.request.Request(f"{self._control}/{what}", data=json.dumps(body).encode())
        self._open(request, timeout=10).close()


@contextmanager
def running(folder: Path, scratch: Path) -> Iterator[YahooStandin]:
    """Start the stand-in on free ports of 127.0.0.1 and end it at last; everything it writes lies in `scratch`."""
    port, tls, websocket = _free_ports(3)
    certificates = scratch / "certificates"
    command = [
        *(sys.executable, str(folder / "yahoo_standin.py")),
        *("--http", str(port), "--tls", str(tls), "--ws", str(websocket)),
        *("--sock", str(scratch / "standin.sock"), "--certs", str(certificates)),
    ]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first.startswith("ready"), f"the stand-in did not start: {first!r}"
            yield YahooStandin(port, certificates / "ca.pem", scratch)
        finally:
            process.terminate()
            process.wait(timeout=10)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
