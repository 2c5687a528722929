"""The streaming endpoint: WebSocket connections that receive the prices of the symbols that they subscribe to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import msgspec
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request as OpeningRequest
from websockets.protocol import State
from websockets.server import ServerProtocol

from tests.fakes.yahoo.clock import Clock
from tests.fakes.yahoo.messages import Request
from tests.fakes.yahoo.pricing_data import message, pricing
from tests.fakes.yahoo.quotes import Quotes


class Subscription(msgspec.Struct):
    """A message of a client."""

    subscribe: list[str] = []
    unsubscribe: list[str] = []


class StreamFaults(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What goes wrong on all streaming connections, until it is set anew."""

    stall: bool = False
    """No prices are sent."""
    deaf: bool = False
    """What clients send is ignored, pings included, as if the network had forgotten the connection."""
    garbage: bool = False
    """Before each price comes a frame that is none."""
    duplicate: bool = False
    """Each price is sent twice."""
    reorder: bool = False
    """Each price is held back until the next one has been sent."""


_GARBAGE = ("", "{", '{"type":"pricing","message":"!"}', '{"type":"pricing","message":"CgdCVEMt"}')


class Streams:
    """All open connections. Each gets the price of a subscribed symbol at once, and then whenever it changes.

    Symbols without a price are ignored. How the real Yahoo treats them is not known.
    """

    def __init__(self, quotes: Quotes, clock: Clock, interval_seconds: float) -> None:
        self._quotes = quotes
        self._clock = clock
        self._interval_seconds = interval_seconds
        self._open: set[Stream] = set()
        self.faults = StreamFaults()

    async def serve(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, from its opening request to its end."""
        stream = Stream(reader, writer, lambda: self.faults.deaf)
        self._open.add(stream)
        sending = asyncio.create_task(self._send_prices(stream))
        try:
            await stream.receive(request)
        finally:
            self._open.discard(stream)
            sending.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await sending

    def disconnect(self, code: int | None) -> None:
        """End all connections: with a close frame of this code, or without any."""
        for stream in self._open:
            stream.disconnect(code)

    async def _send_prices(self, stream: Stream) -> None:
        sent: dict[str, tuple[Any, Any]] = {}
        held: list[str] = []
        while True:
            if self.faults.stall:
                await stream.wait_for_subscription(self._interval_seconds)
                continue
            for symbol in stream.symbols - sent.keys():
                sent[symbol] = (None, None)
            for symbol in sent.keys() - stream.symbols:
                del sent[symbol]
            for symbol, before in sent.items():
                quote = self._quotes.quote(symbol, self._clock.now())
                if quote is None or "regularMarketPrice" not in quote:
                    continue
                values = pricing(quote)
                if (values["time"], values["price"]) != before:
                    sent[symbol] = (values["time"], values["price"])
                    for text in self._disturbed(message(quote), held):
                        await stream.send(text)
            await stream.wait_for_subscription(self._interval_seconds)

    def _disturbed(self, text: str, held: list[str]) -> list[str]:
        """What is sent instead of a message. `held` keeps what is held back for later."""
        faults = self.faults
        texts = [_GARBAGE[len(text) % len(_GARBAGE)]] * faults.garbage + [text] * (1 + faults.duplicate)
        if faults.reorder:
            texts, held[:] = ([], texts) if not held else (texts + held, [])
        return texts


class Stream:
    """One WebSocket connection. While it `is_deaf`, it ignores what the client sends."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_deaf: Callable[[], bool]) -> None:
        self._reader = reader
        self._writer = writer
        self._is_deaf = is_deaf
        self._protocol = ServerProtocol()
        self._subscribed = asyncio.Event()
        self.symbols: set[str] = set()

    async def receive(self, opening: Request) -> None:
        """Receive subscriptions until the connection ends."""
        self._protocol.receive_data(opening.head)
        while True:
            self._handle(self._protocol.events_received())
            await self._flush()
            if self._protocol.close_expected():
                return
            data = await self._reader.read(65_536)
            if not data:
                return
            if not self._is_deaf():
                self._protocol.receive_data(data)

    async def send(self, text: str) -> None:
        """Send a text frame, if the connection is open."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_text(text.encode())
            await self._flush()

    async def wait_for_subscription(self, seconds: float) -> None:
        """Wait for a new subscription, but no longer than this."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._subscribed.wait()
        self._subscribed.clear()

    def disconnect(self, code: int | None) -> None:
        """End the connection."""
        if code is None:
            self._writer.transport.abort()
        elif self._protocol.state is State.OPEN:
            self._protocol.send_close(code, "disconnected by a test")
            self._write()

    def _handle(self, events: Iterable[Any]) -> None:
        for event in events:
            if isinstance(event, OpeningRequest):
                self._protocol.send_response(self._protocol.accept(event))
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._subscribe(bytes(event.data))

    def _subscribe(self, text: bytes) -> None:
        try:
            subscription = msgspec.json.decode(text, type=Subscription)
        except msgspec.MsgspecError:
            self._protocol.fail(CloseCode.INVALID_DATA, "not a subscription")
            return
        self.symbols |= {*subscription.subscribe}
        self.symbols -= {*subscription.unsubscribe}
        self._subscribed.set()

    async def _flush(self) -> None:
        self._write()
        await self._writer.drain()

    def _write(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._writer.write(data)
