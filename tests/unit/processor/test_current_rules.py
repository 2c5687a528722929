"""An instance uses the newest alert rules that are right, and says what is wrong with newer ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aws_requests import Unavailable
from processor_lambda.alerts.rules_file import DEFAULT_FILE, MAX_BYTES, parse
from processor_lambda.current_rules import DEFAULTS, CurrentRules
from processor_lambda.ports import NoRules, RulesObject
from processor_lambda.settings import RULES_REFRESH_SECONDS
from tests.support.sizes import sized

SPLIT, RSI, MOVE = (f"[[rule]]\nkind = '{kind}'\n".encode() for kind in ("split", "rsi", "price_move"))
BROKEN = {
    "no TOML": b"[[rule]\n",
    "an unknown kind": b"[[rule]]\nkind = 'magic'\n",
    "an unknown field": b"[[rule]]\nkind = 'rsi'\nabow = 70\n",
    "a value of another type": b"[[rule]]\nkind = 'rsi'\nabove = 'x'\n",
    "two rules of one name": RSI + RSI,
    "an unknown key": b"rules = []\n",
    "no table": b"rule = 7\n",
    "UTF-16": SPLIT.decode().encode("utf-16"),
    "no text": b"\xff\xfe\x00\x01",
    "half a file": SPLIT[:-3],
    "NUL characters": b"\0" * 100,
    "too many rules": b"".join(b"[[rule]]\nkind = 'rsi'\nname = 'r%d'\n" % number for number in range(51)),
    "too deep": b"a = " + b"[" * 50 + b"]" * 50,
    "enormous": b"#" * (MAX_BYTES + 1),
}


class Store:
    """The object and its versions in memory. It counts the requests."""

    def __init__(self, *versions: bytes | None) -> None:
        self.versions: list[bytes | None] = list(versions)
        self.error: Unavailable | None = None
        self.listing_error: Unavailable | None = None
        self.requests = self.listings = 0

    def _object(self, number: int) -> RulesObject:
        content = self.versions[number]
        assert content is not None
        return RulesObject(content, f'"{hashlib.md5(content).hexdigest()}"', f"v{number}")

    def newest(self, known: str) -> RulesObject | None:
        self.requests += 1
        if self.error is not None:
            raise self.error
        if not self.versions or self.versions[-1] is None:
            raise NoRules("s3://archive/rules.toml does not exist")
        found = self._object(len(self.versions) - 1)
        return None if found.etag == known else found

    def earlier(self) -> Iterator[RulesObject]:
        self.listings += 1
        if self.listing_error is not None:
            raise self.listing_error
        for number in reversed(range(len(self.versions))):
            if self.versions[number] is not None:
                yield self._object(number)


class Instance:
    """An instance of the function, with a clock of its own."""

    def __init__(self, store: Store) -> None:
        self.store, self.now = store, 1000.0
        self.rules = CurrentRules(store, DEFAULT_FILE, Decimal(5), lambda: self.now)

    def look(self) -> tuple[list[str], str]:
        """The names of the rules when the instance has looked again, and what is wrong with the newest."""
        self.now += RULES_REFRESH_SECONDS
        names = [rule.id for rule in self.rules.current().rules]
        assert self.rules.in_use is not None
        return names, self.rules.in_use.problem


def test_a_change_is_seen_at_the_next_look_and_not_before() -> None:
    store = Store(SPLIT)
    instance = Instance(store)
    assert instance.look() == (["split"], "")
    first = instance.rules.current()
    store.versions.append(RSI)
    instance.now += RULES_REFRESH_SECONDS - 0.1
    assert instance.rules.current() is first
    assert store.requests == 1
    assert instance.look() == (["rsi"], "")
    assert instance.rules.in_use is not None
    assert (instance.rules.in_use.version, instance.rules.in_use.digest) == ("v1", hashlib.sha256(RSI).hexdigest()[:12])


def test_an_object_that_has_not_changed_keeps_the_same_rules() -> None:
    instance = Instance(Store(SPLIT))
    instance.look()
    first = instance.rules.current()
    assert instance.look() == (["split"], "")
    assert instance.rules.current() is first


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_object_changes_nothing_and_says_what_is_wrong(broken: bytes) -> None:
    store = Store(MOVE, SPLIT)
    old = Instance(store)
    assert old.look() == (["split"], "")
    store.versions.append(broken)
    new = Instance(store)
    for instance in (old, new):
        for _ in range(2):  # S3 answers the second look that nothing has changed
            names, problem = instance.look()
            assert names == ["split"]
            assert problem.startswith("the alert rules: ")
        assert instance.rules.in_use is not None
        assert instance.rules.in_use.version == "v1"
    store.versions.append(RSI)
    assert old.look() == new.look() == (["rsi"], "")


def test_a_new_instance_uses_the_newest_version_that_is_right() -> None:
    store = Store(MOVE, SPLIT, BROKEN["no TOML"], None, BROKEN["half a file"])
    instance = Instance(store)
    assert instance.look()[0] == ["split"]
    assert instance.look()[0] == ["split"]
    assert store.listings == 1


@pytest.mark.parametrize("versions", [(), (BROKEN["no TOML"],)], ids=["missing", "broken"])
def test_without_any_version_that_is_right_the_rules_of_the_code_are_used(versions: tuple[bytes, ...]) -> None:
    instance = Instance(Store(*versions))
    names, problem = instance.look()
    assert {"price_move", "rsi", "split"} <= set(names)
    assert bool(problem) == bool(versions)
    assert instance.rules.in_use is not None
    assert instance.rules.in_use.version == DEFAULTS


def test_an_object_that_is_deleted_changes_nothing() -> None:
    store = Store(SPLIT)
    instance = Instance(store)
    instance.look()
    store.versions.append(None)
    assert instance.look() == Instance(store).look() == (["split"], "s3://archive/rules.toml does not exist")
    store.versions.append(SPLIT)  # with the ETag that the instance saw before
    assert instance.look() == (["split"], "")


def test_while_s3_fails_an_instance_keeps_its_rules_and_a_new_one_lets_the_batch_come_again() -> None:
    store = Store(SPLIT)
    old, new = Instance(store), Instance(store)
    old.look()
    store.error = Unavailable("s3 GetObject failed 6 times")
    assert old.look() == (["split"], "s3 GetObject failed 6 times")
    with pytest.raises(Unavailable):
        new.look()
    assert new.rules.in_use is None
    store.error = None
    assert old.look() == new.look() == (["split"], "")


def test_a_new_instance_that_cannot_list_the_versions_lets_the_batch_come_again() -> None:
    store = Store(SPLIT, BROKEN["no TOML"])
    instance = Instance(store)
    store.listing_error = Unavailable("s3 ListObjectVersions failed 6 times")
    with pytest.raises(Unavailable):
        instance.look()
    store.listing_error = None
    names, problem = instance.look()
    assert names == ["split"]
    assert problem.startswith("the alert rules: ")


DEFAULTS_CONTENT = DEFAULT_FILE.read_bytes()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A file of rules of which a part is missing, doubled, or replaced by other text or bytes."""
    words = [
        b"[[rule]]",
        b"kind",
        b"symbols",
        b"=",
        b"'",
        b"[",
        b"]",
        b"nan",
        b"-1",
        b"1e400",
        b"2026-11-23",
        b"{}",
        b"\n",
    ]
    start, end = sorted((draw(st.integers(0, len(DEFAULTS_CONTENT))), draw(st.integers(0, len(DEFAULTS_CONTENT)))))
    text = st.lists(st.sampled_from(words) | st.binary(max_size=4), max_size=8).map(b"".join)
    middle = draw(st.one_of(text, st.just(DEFAULTS_CONTENT[start:end] * 2)))
    return DEFAULTS_CONTENT[:start] + middle + DEFAULTS_CONTENT[end:]


@settings(max_examples=sized(30, 400), deadline=None)
@given(damaged())
def test_whatever_somebody_writes_an_instance_goes_on_with_right_rules(content: bytes) -> None:
    store = Store(SPLIT)
    old = Instance(store)
    old.look()
    store.versions.append(content)
    seen, fresh = old.look(), Instance(store).look()
    assert seen == fresh
    names, problem = seen
    if problem:
        assert names == ["split"]
        assert problem.startswith("the alert rules: ")
    else:
        assert names == [rule.id for rule in parse(content, "", Decimal(5)).rules]
