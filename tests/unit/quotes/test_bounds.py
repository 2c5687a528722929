"""Files from outside are read within bounds of size and time."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import nullcontext
from decimal import Decimal
from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor_lambda.alerts import rules_file
from processor_lambda.errors import SettingsError
from producer_service import watchlist_file
from producer_service.errors import ConfigurationError
from producer_service.settings import Configuration, WatchSettings, with_watchlist
from quotes.bounds import MAX_TOML, MAX_TOML_LEVELS, OutOfBounds, bounded_lines, read_toml

TOO_DEEP = f"line 2 is nested deeper than {MAX_TOML_LEVELS} levels"


@given(st.text("a\n\r").map(str.encode), st.integers(1, 60))
def test_lines_are_those_of_the_file_however_it_is_read(content: bytes, step: int) -> None:
    file = io.BytesIO(content)

    read = list(bounded_lines(lambda most: file.read(min(most, step)), max_size=inf))

    assert read == [line.removesuffix(b"\n") for line in io.BytesIO(content)]


@given(st.lists(st.integers(0, 300), max_size=30), st.integers(1, 5000))
def test_a_file_is_refused_if_its_lines_are_too_many_or_too_long(lengths: list[int], max_size: int) -> None:
    content = b"".join(b"x" * length + b"\n" for length in lengths)
    size = max(len(content), 100 * len(lengths))

    with nullcontext() if size <= max_size else pytest.raises(OutOfBounds, match="it holds more than"):
        list(bounded_lines(io.BytesIO(content).read, max_size=max_size))


def read_watchlist(path: Path) -> object:
    config = Configuration(WatchSettings.model_construct(watchlist=str(path)), (), {})
    return with_watchlist(config, watchlist_file.read(path))


def read_rules(path: Path) -> object:
    return rules_file.read(path, Decimal(5))


@pytest.mark.parametrize("read", [read_watchlist, read_rules])
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("\na = " + "[" * 900 + "]" * 900, TOO_DEEP),
        ("\na = " + "{a=" * 900 + "1" + "}" * 900, TOO_DEEP),
        ("\n" + "a." * 50_000 + "a = 1", TOO_DEEP),
        ("\n" + " 'a' . " * 10_000 + "a = 1", TOO_DEEP),
        ("\n[" + '"é [".' * 10_000 + "a]", TOO_DEEP),
        ("a = " + "9" * 5000, "a number has too many digits: Exceeds the limit (4300 digits)"),
        ("a = 1\n" * MAX_TOML, f"it is longer than {MAX_TOML:,} characters"),
    ],
    ids=["arrays", "tables", "dotted key", "quoted key", "header", "number", "size"],
)
def test_toml_that_would_keep_the_parser_busy_is_refused_by_name(
    tmp_path: Path, read: Callable[[Path], object], text: str, problem: str
) -> None:
    path = tmp_path / "hostile.toml"
    path.write_text(text)

    with pytest.raises((ConfigurationError, SettingsError)) as refused:
        read(path)

    assert str(refused.value).startswith(f"{path}: {problem}")


@pytest.mark.parametrize("read", [read_watchlist, read_rules])
def test_an_endless_file_is_refused(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = tmp_path / "endless.toml"
    with path.open("wb") as file:
        file.truncate(10 * 2**30)  # takes no space on the disk

    with pytest.raises((ConfigurationError, SettingsError), match=f"it is longer than {MAX_TOML:,} characters"):
        read(path)


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * MAX_TOML_LEVELS + "]" * MAX_TOML_LEVELS,
        ".".join("a" * MAX_TOML_LEVELS) + " = 1",
        'x = ["' + "A.B." * 100 + '", """' + "[" * 100 + "\"\"\", '''" + "{" * 100 + "''']",
        "# " + "[." * 100,
        "\n".join("[[x]]" for _ in range(100)),
        "x = [" + "1.5, " * 100 + "]",
    ],
    ids=["arrays", "dotted key", "strings", "comment", "tables", "numbers"],
)
def test_what_only_looks_deep_is_read(text: str) -> None:
    assert len(read_toml(io.StringIO(text).read)) <= 1


@given(depth=st.integers(1, 40), form=st.sampled_from(["[", "{", "."]), before=st.text("ab\"'#=[].\n", max_size=8))
def test_whatever_precedes_it_depth_never_reaches_the_parser(depth: int, form: str, before: str) -> None:
    nested = {"[": "x = " + "[" * depth + "]" * depth, "{": "x = " + "{a=" * depth + "1" + "}" * depth}
    text = before + nested.get(form, "x." * depth + "x = 1")

    try:
        document = read_toml(io.StringIO(text).read)
    except ValueError:
        return
    assert levels(document) <= MAX_TOML_LEVELS + 1


def levels(value: object) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(levels, children), default=0) if isinstance(value, dict | list) else 0


@pytest.mark.parametrize("read", [read_watchlist, read_rules])
def test_a_byte_order_mark_is_skipped(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = tmp_path / "windows.toml"
    path.write_text("[group]\nx = 1", encoding="utf-8-sig")

    with pytest.raises((ConfigurationError, SettingsError), match="group"):
        read(path)
