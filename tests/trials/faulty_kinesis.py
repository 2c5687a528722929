"""The faulty stream on the network: an HTTP server that speaks what boto3 speaks, JSON 1.1.

    python -m tests.trials.faulty_kinesis '{"records":0.1,"unanswered":0.03}'

It runs in a process of its own, so that its CPU is not the producer's; it prints its port, and ends with its standard
input. `GET /report` says what came of it, `GET /identities` what arrived, `POST /outage` takes it off the network for
some seconds.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress

import msgspec

from aws_limits import KINESIS_REQUEST_BYTES
from tests.trials.arrivals import Request
from tests.trials.faults import Fate, Faults
from tests.trials.faulty_stream import FaultyStream

HOST = "127.0.0.1"

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: closing sends RST


class FaultyKinesis:
    """Serves one stream, in one event loop."""

    def __init__(self, stream: FaultyStream) -> None:
        self._stream = stream
        self._conversations: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._listener: asyncio.Server | None = None
        self._return: asyncio.Task[None] | None = None
        self._port = 0

    async def serve(self) -> None:
        """Listen on a free port, print it, and answer until standard input ends."""
        await self._listen()
        sys.stdout.write(f"{self._port}\n")
        sys.stdout.flush()
        # Whoever started it holds the other end, so it never outlives them, however they end.
        await asyncio.to_thread(sys.stdin.read)
        conversations = tuple(self._conversations)
        self._drop(conversations)
        await asyncio.gather(*conversations)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._converse, HOST, self._port, limit=2 * KINESIS_REQUEST_BYTES)
        self._port = self._listener.sockets[0].getsockname()[1]

    def _leave(self, seconds: float) -> None:
        """Drop all connections but the one that asked for it, and refuse new ones for some seconds."""
        assert self._listener is not None
        self._listener.close()
        self._drop(task for task in tuple(self._conversations) if task is not asyncio.current_task())
        self._return = asyncio.create_task(self._come_back(seconds))

    async def _come_back(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._listen()

    def _drop(self, conversations: Iterable[asyncio.Task[None]]) -> None:
        for task in conversations:
            _reset(self._conversations[task])

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations[task] = writer
        stored: Request | None = None
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                if stored is not None:
                    stored.is_heard = True
                start, *lines = head.rstrip().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                path = start.split()[1]
                if path == "/":
                    stored = await self._answer(headers.get("x-amz-target", ""), body, reader, writer)
                else:
                    await _write(writer, 200, self._tell(path, body))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the other side has gone, or was made to go
        finally:
            del self._conversations[task]
            with suppress(ConnectionError):
                writer.close()

    def _tell(self, path: str, body: bytes) -> bytes:
        match path:
            case "/report":
                return msgspec.json.encode(self._stream.report())
            case "/identities":
                return msgspec.json.encode(self._stream.identities())
            case "/outage":
                self._leave(msgspec.json.decode(body, type=float))
                return b"null"
        raise ConnectionError(path)

    async def _answer(
        self, target: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Request | None:
        """Say the stream's answer in the manner of its fate. Returns what was stored."""
        answer = self._stream.answer(target.rpartition(".")[2], body)
        if answer.delay:
            await asyncio.sleep(answer.delay)
        match answer.fate:
            case Fate.UNANSWERED:
                await reader.read()  # until the client has lost its patience
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
    with suppress(OSError):  # closed from the other side already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


if __name__ == "__main__":
    asyncio.run(FaultyKinesis(FaultyStream(msgspec.json.decode(sys.argv[1], type=Faults))).serve())
