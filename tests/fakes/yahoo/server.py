"""The server: an HTTP proxy that answers for Yahoo's hosts itself, and the control endpoints."""

from __future__ import annotations

import asyncio
import ssl
import time

import msgspec

from tests.fakes.yahoo.certificates import Certificates
from tests.fakes.yahoo.clock import Clock
from tests.fakes.yahoo.control import Control
from tests.fakes.yahoo.faults import Faults, RequestLog
from tests.fakes.yahoo.messages import TEXT, BadRequest, Request, Response, read_request
from tests.fakes.yahoo.site import STREAMER, Site
from tests.fakes.yahoo.streaming import Streams

_BACKLOG = 1_024


class Server:
    """Listens on one port. A client reaches Yahoo by CONNECT, and the control endpoints by plain requests."""

    def __init__(self, clock: Clock, certificates: Certificates, *, seed: int, stream_interval_seconds: float) -> None:
        self._site = Site(clock, seed)
        self._streams = Streams(self._site.quotes, clock, stream_interval_seconds)
        self._faults = Faults()
        self._log = RequestLog()
        self._control = Control(self._site, self._streams, clock, self._faults, self._log)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificates.certificate, certificates.key)
        self._tls.set_alpn_protocols(["http/1.1"])
        # Session tickets arrive after the handshake, without application data. The synchronous client of websockets 17,
        # which yfinance uses, may then block in its receiving thread while it sends its first request, and hang.
        self._tls.num_tickets = 0
        self._connections: set[asyncio.Task[None]] = set()
        self._connection_count = 0

    async def start(self, host: str, port: int) -> asyncio.Server:
        """Start listening. Port 0 is any free one."""
        return await asyncio.start_server(self._accept, host, port, backlog=_BACKLOG)

    async def stop(self, listener: asyncio.Server) -> None:
        """Stop listening, and end all connections."""
        listener.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connection_count += 1
        task = asyncio.create_task(self._serve(reader, writer, self._connection_count))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        try:
            while (request := await read_request(reader)) is not None:
                if request.method != "CONNECT":
                    await _send(writer, self._control.respond(request))
                elif _is_yahoo(request):
                    fault = self._faults.take_connection(request.target.rpartition(":")[0])
                    if fault == "refuse":
                        return
                    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    await writer.drain()
                    if fault == "garble":
                        await _send(writer, Response(400, b"not TLS", TEXT))
                        return
                    await writer.start_tls(self._tls)
                    await self._serve_yahoo(reader, writer, connection)
                    return
                else:
                    await _send(writer, _refusal(request))
        except (BadRequest, ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the client went away, or does not trust the certificate; a test sees it from its side
        finally:
            writer.close()

    async def _serve_yahoo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        """Answer requests to Yahoo until the connection ends."""
        while (request := await read_request(reader)) is not None:
            entry = self._log.add(request, connection, time.time())
            response, cut = None, None
            for fault in self._faults.take(request):
                await asyncio.sleep(fault.delay)
                if fault.drop and fault.cut is None:
                    return
                response = fault.response
                cut = fault if fault.cut is not None else None
            if response is None and request.is_websocket and request.host == STREAMER:
                entry.status = 101
                await self._streams.serve(request, reader, writer)
                return
            response = response or self._site.respond(request)
            entry.status = response.status
            if cut is not None and cut.cut is not None:
                kept = int(len(response.body) * cut.cut)
                if cut.drop:
                    writer.write(response.encode()[: len(response.encode()) - len(response.body) + kept])
                    await writer.drain()
                    return
                response = msgspec.structs.replace(response, body=response.body[:kept])
            await _send(writer, response)


def _is_yahoo(request: Request) -> bool:
    """Whether a CONNECT is to a host of Yahoo's. Others are refused: the local Yahoo opens no connection of its own."""
    host, _, port = request.target.rpartition(":")
    return port == "443" and (host == "yahoo.com" or host.endswith(".yahoo.com"))


def _refusal(request: Request) -> Response:
    text = f"{request.target}: this proxy is a local Yahoo, and answers only for https://*.yahoo.com\n"
    return Response(403, text.encode(), TEXT)


async def _send(writer: asyncio.StreamWriter, response: Response) -> None:
    writer.write(response.encode())
    await writer.drain()
