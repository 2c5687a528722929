"""A deployment writes the alert rules that the user names, keeps those that are there, and says what changes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from configuration import RULES_KEY
from deployment.alert_rules import checked_rules, choose_rules
from deployment.errors import DeploymentError
from processor_lambda.alerts.rules_file import DEFAULT_FILE

SPLIT, RSI = "[[rule]]\nkind = 'split'\n", "[[rule]]\nkind = 'rsi'\n"
HELD = {"CodeBucket": "code", "CodeKey": "processor/1.zip"}


class Buckets:
    """A client of S3 with some objects."""

    def __init__(self, rules: str | None = None, code: bytes | None = None) -> None:
        self.objects = {"archive": rules.encode() if rules is not None else None, "code": code}

    def get_object(self, **request: Any) -> dict[str, Any]:
        content = self.objects[request["Bucket"]]
        if content is None:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": "no such key"}}, "GetObject")
        return {"Body": io.BytesIO(content), "ContentLength": len(content), "ETag": '"1"', "VersionId": "1"}

    def put_object(self, **request: Any) -> dict[str, Any]:
        assert request["Key"] == RULES_KEY
        assert ("IfMatch" in request) == (self.objects["archive"] is not None)
        self.objects["archive"] = request["Body"]
        return {"ETag": '"2"', "VersionId": "2"}


def zipped(rules: str, comment: bytes) -> bytes:
    """The zip of a function as an earlier version packaged it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        entry = zipfile.ZipInfo(DEFAULT_FILE.relative_to(Path(__file__).parents[3]).as_posix())
        entry.comment = comment
        archive.writestr(entry, rules)
    return content.getvalue()


def deploy(s3: Buckets, wish: str | None = None, *, is_new: bool = False) -> tuple[str, ...]:
    """What a deployment says of the rules, once it has written them."""
    change = choose_rules(s3, None if is_new else "archive", {} if is_new else HELD, wish)
    change.write(s3, "archive")
    return change.lines


def file(folder: Path, content: str) -> str:
    path = folder / "mine.toml"
    path.write_text(content)
    return str(path)


def test_a_new_stage_gets_the_rules_that_are_named_or_the_default_ones(tmp_path: Path) -> None:
    s3 = Buckets()
    assert deploy(s3, is_new=True) == ()
    assert s3.objects["archive"] == DEFAULT_FILE.read_bytes()
    s3 = Buckets()
    assert deploy(s3, file(tmp_path, SPLIT), is_new=True) == ()
    assert s3.objects["archive"] == SPLIT.encode()


def test_a_new_stage_keeps_the_rules_of_an_archive_that_it_adopts_unless_others_are_named(tmp_path: Path) -> None:
    s3 = Buckets(RSI)
    assert deploy(s3, is_new=True) == ()
    assert s3.objects["archive"] == RSI.encode()
    assert deploy(s3, file(tmp_path, SPLIT), is_new=True) == ()
    assert s3.objects["archive"] == SPLIT.encode()


def test_rules_stay_until_others_are_named(tmp_path: Path) -> None:
    s3 = Buckets(SPLIT)
    assert deploy(s3) == ()
    assert s3.objects["archive"] == SPLIT.encode()
    assert deploy(s3, file(tmp_path, RSI)) == ("adds the rule rsi", "removes the rule split")
    assert deploy(s3, file(tmp_path, RSI)) == ()
    assert "adds the rule price_move" in deploy(s3, "default")
    assert s3.objects["archive"] == DEFAULT_FILE.read_bytes()


def test_an_existing_stage_keeps_the_rules_that_an_earlier_version_packaged_with_the_code(tmp_path: Path) -> None:
    s3 = Buckets(code=zipped(RSI, b"replaced"))
    assert deploy(s3) == ()
    assert s3.objects["archive"] == RSI.encode()
    s3 = Buckets(code=zipped(RSI, b"replaced"))
    assert deploy(s3, file(tmp_path, SPLIT)) == ("adds the rule split", "removes the rule rsi")
    s3 = Buckets(code=zipped(RSI, b""))
    assert deploy(s3) == ()
    assert s3.objects["archive"] == DEFAULT_FILE.read_bytes()


def test_rules_of_an_earlier_version_that_cannot_be_read_have_to_be_named(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match=r"cannot be read from s3://code/processor/1.zip: .*\nname the rules"):
        deploy(Buckets(code=b"no zip"))
    s3 = Buckets(code=b"no zip")
    assert deploy(s3, file(tmp_path, SPLIT)) == ()
    assert s3.objects["archive"] == SPLIT.encode()


def test_rules_that_do_not_fit_this_version_have_to_be_replaced(tmp_path: Path) -> None:
    s3 = Buckets(RSI + "colour = 'red'\n")
    with pytest.raises(DeploymentError, match=r"rule 1 \(rsi\): .*colour.*\nThey do not fit this version: name the"):
        deploy(s3)
    assert deploy(s3, file(tmp_path, RSI)) == ("replaces all rules by: rsi",)


def test_invalid_rules_are_refused_before_anything_is_deployed(tmp_path: Path) -> None:
    path = Path(file(tmp_path, "[[rule]]\nkind = 'rsi'\nabove = 'x'\n"))
    with pytest.raises(DeploymentError, match=r"mine\.toml: rule 1 \(rsi\): Expected `float`, got `str`, in above"):
        checked_rules(path)
    path.write_text(SPLIT, encoding="utf-16")
    with pytest.raises(DeploymentError, match=r"mine\.toml: is not UTF-8 but UTF-16; save it as UTF-8"):
        checked_rules(path)
    with pytest.raises(DeploymentError, match=r"none\.toml: No such file or directory"):
        checked_rules(tmp_path / "none.toml")
