"""The user and the password of a URL are in no text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.masking import masked, masked_values

SECRET = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=6, max_size=20)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            'Could not connect to the endpoint URL: "http://joe:secret@localhost:4566/"',
            'Could not connect to the endpoint URL: "http://***@localhost:4566/"',
        ),
        ("https://joe:p@ss:/?#w@rd@[::1]:4566 is down", "https://***@[::1]:4566 is down"),
        ("Invalid endpoint: joe:secret@localhost:4566", "Invalid endpoint: ***@localhost:4566"),
        ("HTTPS_PROXY=joe:secret@proxy:3128", "HTTPS_PROXY=***@proxy:3128"),
        ("syntax in 'joe:pa/ss@127.0.0.1:9': no port", "syntax in '***@127.0.0.1:9': no port"),
        ("socks5h://token@proxy", "socks5h://***@proxy"),
        ("http://joe:secret@a http://ann:hidden@b", "http://***@a http://***@b"),
        ("the text is cut: http://joe:sec", "the text is cut: http://***"),
        ("Port could not be cast to integer value as 'hunt'", "Port could not be cast to integer value as '***'"),
        ("http://joe%40mail:sec%2Fret@host", "http://***@host"),
    ],
)
def test_masks_the_user_and_the_password(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "https://kinesis.eu-west-1.amazonaws.com",
        "http://127.0.0.1:4566",
        "http://localhost:8080/healthz answers",
        "arn:aws:sns:eu-west-1:123456789012:alerts",
        "write to joe@example.com",
        "2026-11-23T14:30:00.000Z",
        "shardId-000000000000: lane-03-of-16",
    ],
)
def test_leaves_other_texts_as_they_are(text: str) -> None:
    assert masked(text) == text


@given(
    user=SECRET, password=SECRET, before=st.sampled_from(["", "error: ", '("', "x='"]), path=st.sampled_from(["", "/a"])
)
def test_no_password_survives(user: str, password: str, before: str, path: str) -> None:
    shown = masked(f"{before}https://{user}:{password}@host:443{path}")

    assert shown == f"{before}https://***@host:443{path}"


@given(password=st.from_regex(r"[a-z][a-zA-Z0-9!$&*+.~-]{7,20}", fullmatch=True), end=st.integers(1, 40))
def test_a_text_that_is_cut_shows_no_part_of_the_password(password: str, end: int) -> None:
    shown = masked(f"http://joe:{password}@host"[: 11 + end])

    assert password[:3] not in shown


def test_masks_every_text_of_a_log_line() -> None:
    url, shown = "http://joe:secret@host", "http://***@host"

    assert masked_values({"event": "x", "n": 1, "url": url, "more": [url, {"deep": (url,)}], "none": None}) == {
        "event": "x",
        "n": 1,
        "url": shown,
        "more": [shown, {"deep": [shown]}],
        "none": None,
    }
