"""The whole daemon while each of its calls out of the process raises each kind of error.

After the fault it delivers again, or it has ended with a failure, so that it is started again. The pages tell of it.
"""

from __future__ import annotations

import itertools
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog.testing

from producer_service.daemon import Daemon
from producer_service.deduplication import deduplicate
from producer_service.errors import JournalDamaged
from producer_service.handover import Handover
from producer_service.handover_store import UndeliveredState
from producer_service.http import Server
from producer_service.journal import Journal
from producer_service.outbox import Outbox
from producer_service.plan import make_plan
from producer_service.settings import Configuration, Settings
from producer_service.sources import FetchResult, Market, Source
from producer_service.sources.definition import SourceDefinition, SourceSettings
from producer_service.wiring import Producer
from quotes import Quote
from tests.fakes.fault import ERRORS, Fault
from tests.fakes.handover_store import MemoryHandoverStore
from tests.fakes.producer_bench import LIVE, FakeSource
from tests.fakes.stream import FakeStream
from tests.support.quotes import OPEN, make_quote
from tests.support.sizes import FULL
from tests.support.waiting import wait_until

LANES = 4
FIRST = 1_000
OWN_THREADS = {"APScheduler", "http", *(f"sender {number}" for number in range(4))}
"""Threads of a daemon that must end with it, so that nothing is polled or accepted after the handover."""
LEFT = make_quote("LEFT", second=1)


@pytest.fixture(autouse=True)
def _process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Short pauses, and the process's own handlers afterwards."""
    monkeypatch.setattr("producer_service.intake.WAIT_SECONDS", 0.01)
    monkeypatch.setattr("producer_service.supervisor.PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("producer_service.sender.TAKE_SECONDS", 0.05)
    monkeypatch.setattr("producer_service.outbox.LONGEST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr("producer_service.listener.LONGEST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr("producer_service.daemon.TAKE_OVER_SECONDS", 0.05)
    monkeypatch.setattr("producer_service.daemon.REFRESH_SECONDS", 0.05)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    hook = threading.excepthook
    yield
    threading.excepthook = hook
    for number, handler in before.items():
        signal.signal(number, handler)


class Ticking(FakeSource):
    """A polled source with a new quote at each fetch."""

    def __init__(self) -> None:
        super().__init__(traits=LIVE)
        seconds = itertools.count(FIRST)
        self.answer = lambda _symbols, _now: self._at(next(seconds))

    @staticmethod
    def _at(second: int) -> FetchResult:
        return FetchResult(
            quotes=(make_quote("AAPL", second=second),), complete_to=OPEN + timedelta(seconds=second - 1)
        )


class Pushing:
    """A pushed source with a new quote every moment."""

    traits = LIVE
    symbols = ("AAPL",)

    def __init__(self) -> None:
        self._seconds = itertools.count(FIRST)
        self._closed = threading.Event()

    def listen(self, deliver: Callable[[FetchResult], None], _market: Market) -> None:
        while not self._closed.wait(0.01):
            deliver(Ticking._at(next(self._seconds)))

    def close(self) -> None:
        self._closed.set()


class Running:
    """A daemon on fakes, with a state of another producer in the store."""

    def __init__(self, directory: Path, source: Source | None = None) -> None:
        self.source: Any = source or Ticking()
        self.stream = FakeStream()
        self.store = MemoryHandoverStore()
        self.store.states["1-left"] = left_state()
        settings = Settings.model_construct(
            stream_name="quotes",
            source="fake",
            calendar="always",
            linger_seconds=0.0,
            poll_interval_seconds=0.02,
            heartbeat_seconds=0.05,
            journal_dir=directory / "journal",
            journal_sync_seconds=0.05,
            accepted_log_path=directory / "accepted_log.jsonl",
            drain_seconds=0.2,
        )
        definition = SourceDefinition(
            name="fake",
            description="a fake",
            settings=SourceSettings,
            needs_symbols=False,
            open=lambda _settings, _symbols: self.source,
        )
        plan = make_plan(Configuration(settings, (), {"fake": SourceSettings()}), {"fake": definition}, OPEN)
        self.producer = Producer(settings, plan, self.stream)
        self.producer.handover = Handover(
            self.store,
            self.producer.outbox,
            self.producer.intake.restore,
            lambda: "2-new",
            metrics=self.producer.metrics,
            health=self.producer.health,
        )
        self.code: int | None = None

    def run(self, script: Callable[[], None]) -> int:
        """Run the daemon, and a script beside it. At the script's end the daemon is stopped."""
        failures: list[BaseException] = []

        def beside() -> None:
            try:
                script()
            except BaseException as error:  # noqa: BLE001  (it is raised in the test's own thread)
                failures.append(error)
            self.producer.stopping.set()

        thread = threading.Thread(target=beside, daemon=True)
        producer = self.producer
        server = Server("127.0.0.1", 0, producer.metrics.registry, producer.health, producer.status.page)
        thread.start()
        with producer:
            self.code = Daemon(producer, server).run()
        thread.join(20)
        wait_until(lambda: not OWN_THREADS & {thread.name for thread in threading.enumerate()}, "its threads end")
        if failures:
            raise failures[0]
        return self.code

    @property
    def has_ended(self) -> bool:
        return self.producer.supervisor.has_given_up

    @property
    def is_ready(self) -> bool:
        return self.producer.health.readiness().ok

    def newest(self) -> int:
        return max([(quote.event_time - OPEN).seconds for quote in self.stream.quotes], default=0)

    def wait_for_progress(self) -> None:
        """Wait until quotes that come from now on are delivered, or the daemon has given up."""
        before = self.newest()
        wait_until(lambda: self.newest() > before + 2 or self.has_ended, "delivery goes on")


def left_state() -> UndeliveredState:
    outbox = Outbox(
        Journal(None, LANES),
        lanes=LANES,
        max_bytes=2**20,
        linger_seconds=0,
        clock=lambda: 0.0,
        monotonic=lambda: 0.0,
        jitter=lambda: 0.0,
    )
    outbox.put(deduplicate({}, [LEFT]))
    state = outbox.undelivered()
    outbox.close()
    return state


Target = Callable[[Running], tuple[Any, str]]
CALLS: dict[str, Target] = {
    "put": lambda running: (running.stream, "put"),
    "check": lambda running: (running.stream, "check"),
    "waiting": lambda running: (running.store, "waiting"),
    "get": lambda running: (running.store, "get"),
    "delete": lambda running: (running.store, "delete"),
    "commit": lambda running: (running.producer.outbox._journal, "append"),
    "removal": lambda running: (running.producer.outbox._journal, "remove"),
    "sync": lambda running: (running.producer.outbox._journal, "sync"),
    "export": lambda running: (running.producer.outbox._journal, "export"),
    "accepted log": lambda running: (running.producer.accepted_log, "write"),
    "calendars": lambda running: (running.producer.market_hours, "refresh"),
    "fetch": lambda running: (running.source, "fetch"),
}
"""The calls out of the process that the daemon makes while it runs."""
SEEN_ELSEWHERE = {"calendars", "fetch"}
"""Their faults are the source's: they show in metrics and /status, and the producer stays ready."""

PAIRS = list(itertools.product(CALLS, ERRORS))
DEFAULT_PAIRS = [(call, name) for number, (call, name) in enumerate(PAIRS) if number % 11 == 0]
"""Each call with two or three errors, and each error at one call or two."""


def test_the_default_pairs_have_every_call_and_every_error() -> None:
    assert {call for call, _ in DEFAULT_PAIRS} == set(CALLS)
    assert {name for _, name in DEFAULT_PAIRS} == set(ERRORS)


@pytest.mark.parametrize(("call", "error"), PAIRS if FULL else DEFAULT_PAIRS, ids=str)
def test_delivery_goes_on_after_any_error_of_any_call(tmp_path: Path, call: str, error: str) -> None:
    running = Running(tmp_path)
    fault = Fault(*CALLS[call](running), ERRORS[error])

    def script() -> None:
        wait_until(lambda: fault.calls >= 2 or (call == "check" and fault.calls), "the fault shows")
        if call not in SEEN_ELSEWHERE and call != "check":
            wait_until(lambda: not running.is_ready or running.has_ended, "the producer is not ready")
        assert not running.has_ended
        fault.is_on = False
        running.wait_for_progress()
        wait_until(lambda: running.is_ready or running.has_ended, "the producer is ready again")
        wait_until(lambda: LEFT in running.stream.quotes, "what another producer left is delivered")

    with structlog.testing.capture_logs() as logs:
        code = running.run(script)
    assert code == 0, "the error was handled, and the process did not have to end"
    assert delivered_in_order(running.stream.quotes)
    assert running.store.states.keys() <= {"2-new"}
    assert sum(line["event"] in ("journal_failed", "handover_unavailable", "packets_failed") for line in logs) <= 3


def delivered_in_order(quotes: Sequence[Quote]) -> bool:
    """Whether every quote up to the newest arrived, for the first time in its order."""
    first = list(dict.fromkeys((quote.event_time - OPEN).seconds for quote in quotes if quote.symbol == "AAPL"))
    return first == list(range(first[0], first[0] + len(first)))


@pytest.mark.parametrize("error", list(ERRORS) if FULL else ["key", "TLS", "exit of a library"])
def test_a_pushed_source_is_started_again_after_any_error(tmp_path: Path, error: str) -> None:
    running = Running(tmp_path, Pushing())
    fault = Fault(running.source, "listen", ERRORS[error])

    def script() -> None:
        wait_until(lambda: fault.calls >= 2, "the fault shows")
        fault.is_on = False
        running.wait_for_progress()

    assert running.run(script) == 0


@pytest.mark.parametrize("error", list(ERRORS) if FULL else ["key", "DNS", "exit of a library"])
@pytest.mark.parametrize("call", ["put", "close"])
def test_a_stop_ends_whatever_its_last_calls_raise(tmp_path: Path, call: str, error: str) -> None:
    running = Running(tmp_path)
    Fault(running.store if call == "put" else running.source, call, ERRORS[error])
    assert running.run(running.wait_for_progress) == 0


@pytest.mark.parametrize("error", list(ERRORS) if FULL else ["key", "memory", "exit of a library"])
def test_a_bug_that_repeats_ends_the_process_with_a_failure(tmp_path: Path, error: str) -> None:
    running = Running(tmp_path)
    Fault(running.producer.intake, "_count", ERRORS[error])
    with structlog.testing.capture_logs() as logs:
        code = running.run(lambda: wait_until(lambda: running.has_ended, "it gives up"))
    assert code == 1
    assert [line["event"] for line in logs].count("unexpected_error") == 3
    assert "gave_up" in [line["event"] for line in logs]


def test_a_journal_that_is_damaged_ends_the_process_which_leaves_everything_to_the_next(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.stream.failures = ["timeout"] * 10_000
    journal = running.producer.outbox._journal

    def script() -> None:
        wait_until(lambda: running.producer.outbox.counts().pending >= 3, "quotes wait")
        for method in ("append", "remove"):
            Fault(journal, method, lambda: JournalDamaged("database disk image is malformed"))
        wait_until(lambda: running.has_ended, "it gives up")

    pending = 3
    assert running.run(script) == 1
    assert running.store.states["2-new"].quotes >= pending


def test_an_error_of_the_start_ends_the_process_which_leaves_everything_to_the_next(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.stream.failures = ["timeout"] * 10_000
    Fault(running.producer.health, "expect", lambda: RuntimeError("can't start new thread"))
    assert running.run(lambda: wait_until(lambda: running.has_ended, "it gives up")) == 1
    assert running.store.states["2-new"].quotes == 1, "what another producer left"


def test_a_thread_of_a_library_that_dies_ends_the_process_with_a_failure(tmp_path: Path) -> None:
    running = Running(tmp_path)

    def die() -> None:
        raise KeyError("jobs")

    def script() -> None:
        running.wait_for_progress()
        threading.Thread(target=die, name="APScheduler").start()
        wait_until(lambda: running.has_ended, "it gives up")

    with structlog.testing.capture_logs() as logs:
        assert running.run(script) == 1
    [line] = [line for line in logs if line["event"] == "thread_died"]
    assert line["thread"] == "APScheduler"


def test_a_loop_that_hangs_ends_the_process_with_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producer_service.daemon.POLL_LIMIT_SECONDS", 0.1)
    monkeypatch.setattr("producer_service.daemon.STUCK_SECONDS", 0.1)
    running = Running(tmp_path)
    released = threading.Event()
    running.source.during = released.wait
    running.source.close = released.set
    assert running.run(lambda: wait_until(lambda: running.has_ended, "it gives up")) == 1


def test_a_store_that_hangs_holds_neither_the_start_nor_a_stop_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producer_service.daemon.START_SECONDS", 0.1)
    monkeypatch.setattr("producer_service.daemon.HAND_OVER_SECONDS", 0.1)
    running = Running(tmp_path)
    released = threading.Event()
    for method in ("waiting", "put"):
        monkeypatch.setattr(running.store, method, lambda *_: released.wait())
    assert running.run(running.wait_for_progress) == 0
    released.set()


def test_a_stop_during_a_start_that_hangs_is_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = Running(tmp_path)
    asked, released = threading.Event(), threading.Event()

    def hang() -> list[str]:
        asked.set()
        released.wait()
        return []

    monkeypatch.setattr(running.store, "waiting", hang)
    assert running.run(lambda: wait_until(asked.is_set, "the store is asked")) == 0
    released.set()
    assert running.newest() == 0, "no poll came before the store had answered"
