from pathlib import Path

import pytest

from deployment.alert_rules import checked_rules
from deployment.errors import PackageError


def test_invalid_rules_are_refused_before_they_are_deployed(tmp_path: Path) -> None:
    rules = tmp_path / "mine.toml"
    rules.write_text("[[rule]]\nkind = 'rsi'\nabove = 'x'\n")
    with pytest.raises(PackageError, match=r"mine\.toml: rule 1 \(rsi\): Expected `float`, got `str`, in above"):
        checked_rules(rules)


def test_valid_rules_are_accepted(tmp_path: Path) -> None:
    rules = tmp_path / "mine.toml"
    rules.write_text("[[rule]]\nkind = 'split'\n")
    assert checked_rules(rules) == rules


def test_rules_in_utf_16_are_refused(tmp_path: Path) -> None:
    rules = tmp_path / "mine.toml"
    rules.write_text("[[rule]]\nkind = 'split'\n", encoding="utf-16")
    with pytest.raises(PackageError, match=r"mine\.toml: is not UTF-8 but UTF-16; save it as UTF-8"):
        checked_rules(rules)
