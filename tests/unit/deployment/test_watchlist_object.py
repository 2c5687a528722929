"""Which symbols a deployment writes: those that the user names; else those that are there; else the first ones."""

from __future__ import annotations

from typing import Any

import pytest

from configuration import Stored
from deployment.errors import ParameterError
from deployment.stage_file import Wishes
from deployment.watchlist_object import WatchlistChange, choose_watchlist
from watchlist import SYNTHETIC_SYMBOLS, parse, written

STORED = Stored(b"# mine\n" + written(["AAPL", "MSFT"]), '"1"', None)
NOTHING = Wishes()


class Bucket:
    """S3 with at most one object."""

    def __init__(self, content: bytes | None = None) -> None:
        self.content = content

    def get_object(self, **_: Any) -> dict[str, Any]:
        from io import BytesIO  # noqa: PLC0415

        from botocore.exceptions import ClientError  # noqa: PLC0415

        if self.content is None:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": BytesIO(self.content), "ContentLength": len(self.content), "ETag": '"1"'}

    def put_object(self, *, Body: bytes, **_: Any) -> dict[str, Any]:  # noqa: N803
        self.content = Body
        return {"ETag": '"2"'}


def symbols_of(change: WatchlistChange) -> tuple[str, ...]:
    assert change.content is not None
    return tuple(symbol for group in parse(change.content) for symbol in group.symbols)


def test_what_nobody_names_stays() -> None:
    assert choose_watchlist(STORED, NOTHING, {}, {}) == WatchlistChange()


def test_what_the_user_names_wins_and_is_shown_before() -> None:
    change = choose_watchlist(STORED, Wishes(symbols="AAPL, brk.b"), {}, {})
    assert symbols_of(change) == ("AAPL", "brk.b")
    assert change.lines == ("group default: added brk.b", "group default: removed MSFT")
    assert change.notes == ("brk.b: did you mean BRK-B?",)


def test_the_same_symbols_do_not_replace_a_watchlist_and_its_comments() -> None:
    assert choose_watchlist(STORED, Wishes(symbols="AAPL,MSFT"), {}, {}).content is None


def test_a_new_stage_begins_with_the_symbols_of_the_simulated_market() -> None:
    assert symbols_of(choose_watchlist(None, NOTHING, {}, {})) == SYNTHETIC_SYMBOLS


def test_a_new_stage_that_polls_yahoo_needs_symbols() -> None:
    with pytest.raises(ParameterError, match="Source=yahoo needs symbols: name Symbols=AAPL,MSFT,BTC-USD or WATCHLIST"):
        choose_watchlist(None, NOTHING, {"Source": "yahoo"}, {})
    assert choose_watchlist(STORED, NOTHING, {"Source": "yahoo"}, {}).content is None


def test_a_stage_whose_stack_named_the_symbols_keeps_them() -> None:
    assert symbols_of(choose_watchlist(None, NOTHING, {}, {"Symbols": "KO, PEP", "Source": "yahoo"})) == ("KO", "PEP")


def test_mistakes_are_found_before_anything_is_deployed(tmp_path: Any) -> None:
    (tmp_path / "w.toml").write_text('[[group]]\nname = "us"\nsymbols = ["B AD"]\n')
    with pytest.raises(ParameterError, match=r"WATCHLIST: .*w\.toml: group 1 \(us\): symbols: 'B AD' is not a symbol"):
        choose_watchlist(None, Wishes(watchlist=str(tmp_path / "w.toml")), {}, {})
    with pytest.raises(ParameterError, match=r"none\.toml: No such file"):
        choose_watchlist(None, Wishes(watchlist=str(tmp_path / "none.toml")), {}, {})
    with pytest.raises(ParameterError, match="Symbols: not a symbol: 'B C'"):
        choose_watchlist(None, Wishes(symbols="AAPL,B C"), {}, {})


def test_symbols_that_do_not_fit_into_the_lanes_are_refused() -> None:
    many = Wishes(symbols=",".join(f"S{number}" for number in range(4000)))
    with pytest.raises(ParameterError, match="PRODUCER_LANES: a lane of 4 would hold"):
        choose_watchlist(None, many, {}, {})
    assert len(symbols_of(choose_watchlist(None, many, {"Lanes": "32"}, {}))) == 4000


def test_a_broken_watchlist_is_reported_and_left_alone_or_replaced() -> None:
    broken = Stored(b"group = 3", '"1"', None)
    kept = choose_watchlist(broken, NOTHING, {}, {})
    assert kept.content is None
    assert "the stored one has mistakes" in kept.notes[0]
    assert symbols_of(choose_watchlist(broken, Wishes(symbols="KO"), {}, {})) == ("KO",)


def test_an_adopted_bucket_keeps_its_watchlist_unless_the_user_names_another() -> None:
    bucket = Bucket(STORED.content)
    assert choose_watchlist(None, NOTHING, {}, {}).write(bucket, "b") is None
    assert bucket.content == STORED.content
    assert choose_watchlist(None, Wishes(symbols="KO"), {}, {}).write(bucket, "b") is not None
    assert bucket.content == written(["KO"])


def test_an_empty_bucket_gets_the_first_watchlist() -> None:
    bucket = Bucket()
    assert choose_watchlist(None, NOTHING, {}, {}).write(bucket, "b") == "s3://b/configuration/watchlist.toml"
    assert bucket.content == written(SYNTHETIC_SYMBOLS)
