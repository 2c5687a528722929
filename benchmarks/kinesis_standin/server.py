"""The faulty stream as an HTTP server that speaks the protocol of Kinesis, JSON 1.1.

    python -m benchmarks.kinesis_standin.server '{"records":0.1,"unanswered":0.03}'

It runs in a process of its own, so that its CPU is not the producer's. It prints its port, and ends when its standard
input is closed. `GET /report` returns the verdict, `GET /identities` the quotes that arrived, and `POST /outage` with a
number of seconds drops all connections and accepts none for that long.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import cast

import msgspec

from aws_limits import KINESIS_REQUEST_BYTES
from benchmarks.kinesis_standin.arrivals import Request
from benchmarks.kinesis_standin.faults import Fate, Faults
from benchmarks.kinesis_standin.stream import FaultyStream

HOST = "127.0.0.1"

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with 0 seconds: closing the socket sends RST


class StandinServer:
    """Serves one stream, in one event loop."""

    def __init__(self, stream: FaultyStream) -> None:
        self._stream = stream
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._outage: asyncio.Task[None] | None = None
        self._port = 0

    async def serve(self) -> None:
        """Listen on a free port, print it, and answer until standard input is closed."""
        await self._listen()
        sys.stdout.write(f"{self._port}\n")
        sys.stdout.flush()
        # The process that started this one holds the other end, so this one ends with it, however it ends.
        await asyncio.to_thread(sys.stdin.read)
        connections = tuple(self._connections)
        self._drop(connections)
        await asyncio.gather(*connections)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(
            self._serve_connection, HOST, self._port, limit=2 * KINESIS_REQUEST_BYTES
        )
        self._port = self._listener.sockets[0].getsockname()[1]

    def _start_outage(self, seconds: float) -> None:
        """Drop all connections except the one that asked for it, and refuse new ones for some seconds."""
        self._listener.close()
        self._drop(task for task in tuple(self._connections) if task is not asyncio.current_task())
        self._outage = asyncio.create_task(self._end_outage(seconds))

    async def _end_outage(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._listen()

    def _drop(self, connections: Iterable[asyncio.Task[None]]) -> None:
        for task in connections:
            _reset(self._connections[task])

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._connections[task] = writer
        stored: Request | None = None
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                if stored is not None:
                    stored.is_answer_read = True
                start, *lines = head.rstrip().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                path = start.split()[1]
                if path == "/":
                    stored = await self._answer(headers.get("x-amz-target", ""), body, reader, writer)
                else:
                    await _write(writer, 200, self._control(path, body))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client closed the connection, or a fault did
        finally:
            del self._connections[task]
            with suppress(ConnectionError):
                writer.close()

    def _control(self, path: str, body: bytes) -> bytes:
        match path:
            case "/report":
                return msgspec.json.encode(self._stream.report())
            case "/identities":
                return msgspec.json.encode(self._stream.identities())
            case "/outage":
                self._start_outage(msgspec.json.decode(body, type=float))
                return b"null"
        raise ConnectionError(path)

    async def _answer(
        self, target: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Request | None:
        """Answer a request as its fate demands. Returns the request if it was stored."""
        answer = self._stream.answer(target.rpartition(".")[2], body)
        if answer.delay:
            await asyncio.sleep(answer.delay)
        match answer.fate:
            case Fate.UNANSWERED:
                await reader.read()  # until the client's timeout
            case Fate.REFUSED | Fate.RESET:
                _reset(writer)
            case Fate.CLOSED:
                await _write(writer, answer.status, answer.content, cut=len(answer.content) // 2)
                writer.close()
            case _:
                await _write(writer, answer.status, answer.content)
        return answer.stored


async def _write(writer: asyncio.StreamWriter, status: int, content: bytes, *, cut: int | None = None) -> None:
    head = f"HTTP/1.1 {status} -\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {len(content)}\r\n\r\n"
    writer.write(head.encode() + content[:cut])
    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # the client has closed it already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


if __name__ == "__main__":
    asyncio.run(StandinServer(FaultyStream(msgspec.json.decode(sys.argv[1], type=Faults))).serve())
