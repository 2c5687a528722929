"""The watch over the watchlist: a good one is taken over, and a bad one changes nothing and is reported."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog.testing

from producer_service.errors import ConfigurationError, WatchlistUnavailable
from producer_service.plan import Plan
from producer_service.watchlist_file import FileWatchlist, LastGood
from producer_service.watchlist_store import Found
from producer_service.watchlist_watch import WatchlistWatch
from tests.fakes.changing_groups import ChangingGroups
from tests.fakes.producer_bench import FakeSource
from tests.support.sizes import sized
from watchlist import InvalidWatchlist, parse, written

GOOD = written(["AAPL", "MSFT"])
MORE = written(["AAPL", "MSFT", "NVDA"])


class Store:
    """A watchlist that the test changes."""

    location = "s3://bucket/configuration/watchlist.toml"

    def __init__(self, content: bytes | None = None) -> None:
        self.content = content
        self.reads = 0

    def read(self, known: str | None) -> Found | None:
        self.reads += 1
        if self.content is None:
            raise WatchlistUnavailable(f"{self.location}: does not answer")
        version = str(hash(self.content))
        return None if version == known else Found(self.content, version)


class Watching:
    """A watch with all parts around it."""

    def __init__(self, store: Store | FileWatchlist, path: Path, last_good: LastGood | None = None) -> None:
        self.changing = ChangingGroups({"yahoo": FakeSource()}, path)
        self.seconds = 0.0
        self.watch = WatchlistWatch(
            store,
            self.replan,
            self.changing.plan([]),
            self.changing.groups,
            last_good=last_good,
            health=self.changing.health,
            metrics=self.changing.metrics,
            now=lambda: self.changing.now,
            monotonic=lambda: self.seconds,
        )

    def replan(self, content: bytes, _before: Plan) -> Plan:
        try:
            return self.changing.plan(parse(content))
        except InvalidWatchlist as error:
            raise ConfigurationError(error.mistakes) from error

    def look(self) -> list[str]:
        """Look once. Returns the events that are logged."""
        with structlog.testing.capture_logs() as logs:
            self.watch.look(self.changing.loops)
        return [entry["event"] for entry in logs]

    @property
    def symbols(self) -> list[str]:
        return [symbol for state in self.changing.groups.states for symbol in state.group.symbols]

    @property
    def is_ready(self) -> bool:
        return "watchlist" not in self.changing.health.readiness().reason

    def unusable(self, reason: str) -> float | None:
        return self.changing.registry.get_sample_value("stockstream_watchlist_unusable", {"reason": reason})


@pytest.fixture
def store() -> Store:
    return Store(GOOD)


@pytest.fixture
def watching(store: Store, tmp_path: Path) -> Iterator[Watching]:
    made = Watching(store, tmp_path)
    yield made
    made.changing.close()


def test_a_change_is_taken_over_once(watching: Watching, store: Store) -> None:
    assert watching.look() == ["watchlist_changed"]
    assert watching.symbols == ["AAPL", "MSFT"]
    assert watching.look() == []
    store.content = MORE
    assert watching.look() == ["watchlist_changed"]
    assert watching.symbols == ["AAPL", "MSFT", "NVDA"]
    assert watching.changing.registry.get_sample_value("stockstream_watchlist_changes_total") == 2


def test_other_comments_are_no_change(watching: Watching, store: Store) -> None:
    watching.look()
    running = dict(watching.changing.loops.running)
    store.content = b"# mine\n" + GOOD
    assert watching.look() == []
    assert watching.changing.loops.running == running


def test_a_bad_one_changes_nothing_and_says_what_is_wrong_until_it_is_right(watching: Watching, store: Store) -> None:
    watching.look()
    running = dict(watching.changing.loops.running)
    store.content = GOOD.replace(b'"MSFT"', b'"MS FT"')
    assert watching.look() == ["watchlist_unusable"]
    assert watching.changing.loops.running == running
    assert watching.is_ready
    assert watching.unusable("invalid") == 1
    [mistake] = watching.watch.status()["mistakes"]
    assert mistake.startswith("group 1 (default): symbols: 'MS FT'")
    assert watching.look() == []
    watching.seconds += 60
    assert watching.look() == ["watchlist_unusable"]  # the alarm counts a line a minute
    store.content = GOOD
    assert watching.look() == ["watchlist_usable"]
    assert (watching.unusable("invalid"), watching.watch.status()["mistakes"]) == (0, ())


def test_a_store_that_fails_changes_nothing(watching: Watching, store: Store) -> None:
    watching.look()
    store.content = None
    assert watching.look() == ["watchlist_unusable"]
    assert watching.symbols == ["AAPL", "MSFT"]
    assert (watching.unusable("unavailable"), watching.unusable("invalid")) == (1, 0)
    assert watching.watch.status()["unavailable"] == f"{store.location}: does not answer"
    store.content = GOOD
    assert watching.look() == ["watchlist_usable"]
    assert watching.unusable("unavailable") == 0


def test_a_bad_one_is_still_bad_after_the_store_failed(watching: Watching, store: Store) -> None:
    watching.look()
    store.content = b"x"
    watching.look()
    bad, store.content = store.content, None
    watching.look()
    store.content = bad
    watching.look()
    assert (watching.unusable("unavailable"), watching.unusable("invalid")) == (0, 1)


def test_without_a_first_watchlist_the_producer_waits_and_is_not_ready(watching: Watching, store: Store) -> None:
    assert not watching.is_ready
    store.content = None
    watching.look()
    assert not watching.is_ready
    assert "does not answer" in watching.changing.health.readiness().reason
    store.content = GOOD
    watching.look()
    assert watching.is_ready
    assert watching.symbols == ["AAPL", "MSFT"]


@pytest.mark.parametrize("content", [None, b"not = valid"], ids=["unavailable", "invalid"])
def test_a_start_falls_back_to_the_last_good_one(content: bytes | None, tmp_path: Path) -> None:
    copy = LastGood(tmp_path / "journal")
    first = Watching(Store(GOOD), tmp_path, copy)
    first.look()
    first.changing.close()
    store = Store(content)
    second = Watching(store, tmp_path, copy)
    with structlog.testing.capture_logs() as logs:
        second.watch.look(second.changing.loops)
    [told] = [line for line in logs if line["event"] == "watchlist_unusable"]
    assert "watchlist_copy_used" in [line["event"] for line in logs]
    assert told["action"] == "the groups stay as they are"  # not that nothing is polled
    assert (second.symbols, second.is_ready) == (["AAPL", "MSFT"], True)
    store.content = MORE
    second.look()
    assert second.symbols == ["AAPL", "MSFT", "NVDA"]
    assert copy.read() == MORE
    second.changing.close()


def test_a_file_is_read_again_when_its_content_changes(tmp_path: Path) -> None:
    path = tmp_path / "groups.toml"
    path.write_bytes(GOOD)
    watching = Watching(FileWatchlist(path), tmp_path)
    watching.look()
    path.write_bytes(MORE)
    watching.look()
    assert watching.symbols == ["AAPL", "MSFT", "NVDA"]
    path.unlink()
    assert watching.look() == ["watchlist_unusable"]
    assert watching.watch.status()["unavailable"] == f"{path}: No such file or directory"
    watching.changing.close()


def broken(chance: random.Random) -> bytes:
    """A watchlist that somebody has damaged."""
    content = bytearray(MORE)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(content))
        match chance.randrange(3):
            case 0:
                del content[at : at + chance.randint(1, 30)]
            case 1:
                content[at] = chance.randrange(256)
            case _:
                content[at:at] = bytes(chance.choices(b'[]{}="\n#,a9\xff\0', k=chance.randint(1, 5)))
    return bytes(content)


def test_a_broken_watchlist_changes_nothing_and_says_why(watching: Watching, store: Store) -> None:
    watching.look()
    chance = random.Random(15)
    refused = 0
    for _ in range(sized(300, 1_500)):
        store.content = broken(chance)
        try:
            expected = [symbol for group in parse(store.content) for symbol in group.symbols]
        except InvalidWatchlist:
            expected, refused = watching.symbols, refused + 1
        watching.look()
        assert watching.symbols == expected
        assert bool(watching.watch.status()["mistakes"]) == (watching.unusable("invalid") == 1)
        json.dumps(watching.watch.status())
    assert refused > 50
