"""`python -m tests.fakes.yahoo`: run the local Yahoo by hand."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.fakes.yahoo import certificates
from tests.fakes.yahoo.clock import Clock
from tests.fakes.yahoo.control import HELP
from tests.fakes.yahoo.local_yahoo import READY, variables
from tests.fakes.yahoo.server import Server

_DESCRIPTION = """\
A local Yahoo Finance for yfinance, with generated prices. It prints the environment variables that lead yfinance to
it, and runs until Ctrl-C. Export them in another shell, and run the producer there:

    make demo SOURCE=yahoo SYMBOLS=AAPL,MSFT,BTC-USD

These variables also lead pip to the local Yahoo, which refuses it. So run `make demo` once without them before, to
install what it needs.
"""
_EPILOG = f"""\
control endpoints, on the same port:
{HELP}
It needs the `openssl` command, for a certificate authority of its own.
"""


def main(arguments: Sequence[str]) -> int:
    """Run until a signal. The exit code is 0 after one, and 1 if it cannot start."""
    options = _parser().parse_args(arguments)
    with _directory(options.directory) as directory:
        try:
            made = certificates.in_directory(directory)
            asyncio.run(_run(options, made, directory))
        except (certificates.CertificateError, OSError) as error:
            print(f"the local Yahoo cannot start: {error}", file=sys.stderr)  # noqa: T201
            return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fakes.yahoo",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8899, help="port to listen on; 0 is any free one (%(default)s)")
    parser.add_argument(
        "--directory", type=Path, help="where to keep certificates and yfinance's cache (a temporary directory)"
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same prices (%(default)s)")
    parser.add_argument(
        "--now", type=_time, help="start of the clock, such as 2026-11-23T15:00Z (the machine's time)", metavar="TIME"
    )
    parser.add_argument("--speed", type=float, default=1.0, help="speed of a clock set by --now; 0 stops it (1)")
    parser.add_argument(
        "--stream-interval", type=float, default=0.5, help="seconds between streamed prices (%(default)s)"
    )
    return parser


def _time(text: str) -> float:
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


@contextlib.contextmanager
def _directory(directory: Path | None) -> Iterator[Path]:
    if directory is not None:
        yield directory.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="stockstream-yahoo-") as temporary:
        yield Path(temporary)


async def _run(options: argparse.Namespace, made: certificates.Certificates, directory: Path) -> None:
    clock = Clock()
    if options.now is not None:
        clock.set(options.now, options.speed)
    server = Server(clock, made, seed=options.seed, stream_interval_seconds=options.stream_interval)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    listener = await server.start(options.host, options.port)
    host, port = listener.sockets[0].getsockname()[:2]
    print(f"# A local Yahoo listens on http://{host}:{port}. In another shell:")  # noqa: T201
    for name, value in variables(f"http://{host}:{port}", made.authority, directory).items():
        print(f"export {name}={shlex.quote(value)}")  # noqa: T201
    print(READY, flush=True)  # noqa: T201
    await stop.wait()
    await server.stop(listener)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
