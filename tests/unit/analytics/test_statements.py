"""Text is split into statements as DuckDB reads it, and words and commands need no semicolon."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.statements import Splitter, split
from tests.support.sizes import sized


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1", ["select 1"]),
        ("select 1; select 2;", ["select 1", "select 2"]),
        (";; select 1 ;;", ["select 1"]),
        ("select ';', \"a;b\", $$;$$, $x$;$$;$x$; select 2", ["select ';', \"a;b\", $$;$$, $x$;$$;$x$", "select 2"]),
        ("select 'it''s;' ; select e'\\';'", ["select 'it''s;'", "select e'\\';'"]),
        ("select 1 -- one;\n; select /* ; \n ; */ 2", ["select 1 -- one;", "select /* ; \n ; */ 2"]),
        ("-- a comment;\n/* another; */\n", []),
        ("select 'é;'; select '日本;';", ["select 'é;'", "select '日本;'"]),
        ("gaps; daily-ohlc; select 1; HELP", ["gaps", "daily-ohlc", "select 1", "HELP"]),
        ("\\d; \\d quotes; select 1", ["\\d", "\\d quotes", "select 1"]),
        ("-- comment\ngaps\n?\nselect\n1;exit", ["gaps", "?", "select\n1", "exit"]),
        ("SELECT\n  1\nUNION ALL\nFROM t", ["SELECT\n  1\nUNION ALL\nFROM t"]),
        ("selec 1; select 2", ["selec 1", "select 2"]),
        ("select 'open; select 2", ["select 'open; select 2"]),
        ("select 1; /* open; select 2", ["select 1", "/* open; select 2"]),
        ("", []),
    ],
)
def test_statements_are_split_as_the_database_reads_them(text: str, expected: list[str]) -> None:
    assert [statement.text for statement in split(text)] == expected


def test_a_statement_knows_its_line() -> None:
    text = "select 1;\n\n-- two\nselect\n2; select 3;\ngaps\n\nselect 'a;\nb'\n"
    assert [statement.line for statement in split(text)] == [1, 4, 5, 6, 8]


def test_a_statement_may_be_typed_in_several_lines() -> None:
    splitter = Splitter()
    assert splitter.feed("select 'a;") == []
    assert splitter.is_pending
    assert [each.text for each in splitter.feed("b'; select 2")] == ["select 'a;\nb'"]
    assert splitter.is_pending
    splitter.drop()
    assert [each.text for each in splitter.feed("select 3;")] == ["select 3"]
    assert not splitter.is_pending


@settings(max_examples=sized(100, 5_000))
@given(st.text(st.sampled_from("a1;'\"$-/*\\ \n?é") | st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text_can_be_split_and_loses_no_character_but_blanks_and_semicolons(text: str) -> None:
    found = "".join(statement.text for statement in split(text))
    if not {"--", "/*"} & {text[i : i + 2] for i in range(len(text))}:  # no comment
        assert "".join(found.split()).replace(";", "") == "".join(text.split()).replace(";", "")
