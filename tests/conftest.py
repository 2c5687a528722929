"""What tests of several kinds share: recordings, a local Yahoo, guards, and the distribution over processes.

The recordings are not in this repository.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.fakes.yahoo.local_yahoo import LocalYahoo, running
from tests.support.cpu_guard import limited_cpu_time
from tests.support.process_guard import GUARD
from tests.support.scheduling import Scheduling, arrange
from tests.support.sizes import sized
from tests.support.thread_guard import ThreadGuard

pytest.register_assert_rewrite("tests.support.same_results", "tests.support.queues")

RECORDINGS = "STOCKSTREAM_RECORDINGS"
THREADS = ThreadGuard()
TESTS = Path(__file__).parent
UNIT = tuple(TESTS / name for name in ("unit", "model", "contract", "infra"))
"""The folders of `make unit`: their tests start no process and no server."""


def pytest_configure() -> None:
    """Let the guard see what happens in this process. Hypothesis gets time, and fewer examples by default.

    Tests that run beside each other slow each other down, so an example that takes long tells nothing. A shell that
    runs pytest in the background lets it ignore Ctrl-C, and with it each program of a test.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    GUARD.install()
    settings.register_profile("stockstream", deadline=None, max_examples=sized(12, 100))
    settings.load_profile("stockstream")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """Guard the fixtures of a unit test, and begin to watch the threads of any test."""
    THREADS.remember()
    return (yield from _guarded(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Guard a unit test."""
    return (yield from _guarded(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, Any, Any]:
    """Fail a test that leaves a thread behind."""
    result = yield
    THREADS.check()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
    """Let the threads of a fixture that several tests share outlive the first of them."""
    with nullcontext() if fixturedef.scope == "function" else THREADS.sharing():
        return (yield)


def _guarded(item: pytest.Item) -> Generator[None, Any, Any]:
    if not any(item.path.is_relative_to(folder) for folder in UNIT):
        return (yield)
    with GUARD.watching(), limited_cpu_time():
        return (yield)


def pytest_collection_finish() -> None:
    """Leave what the collection made out of later garbage collections, which would look at all of it each time."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files with deployments first, and the tests in the same order in all processes."""
    arrange(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    """Distribute the tests as they share fixtures, unless `--dist` names another way."""
    return Scheduling(config, log) if config.getoption("dist") == "load" else None


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded market data: `yahoo/` bodies, `minute/eqker/` bars."""
    value = os.environ.get(RECORDINGS)
    if not value:
        pytest.skip(
            f"{RECORDINGS} is not set: it names the folder of recorded market data, which is not published here"
        )
    return Path(value)


@pytest.fixture(scope="session")
def running_yahoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalYahoo]:
    """A local Yahoo for the whole session, as the last test left it."""
    with running(tmp_path_factory.mktemp("yahoo"), "--stream-interval", "0.05") as local:
        yield local


@pytest.fixture
def yahoo(running_yahoo: LocalYahoo) -> LocalYahoo:
    """A local Yahoo that knows nothing of earlier tests, and whose clock shows the time of this machine."""
    running_yahoo.reset()
    running_yahoo.set_clock(None)
    return running_yahoo
