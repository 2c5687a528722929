"""Which rules a symbol has, and what is reported about a rules file with mistakes."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest

from processor_lambda.alerts import PriceMove, Rsi, Rules
from processor_lambda.alerts.kinds import BarRule, SilenceRule, SplitRule
from processor_lambda.alerts.rules_file import DEFAULT_FILE, read
from processor_lambda.errors import SettingsError

KINDS = "bollinger_breakout, macd_crossover, price_move, rsi, sma_crossover, split, stale_feed, volume_spike, z_score"


def rules_of(tmp_path: Path, text: str) -> Rules:
    path = tmp_path / "rules.toml"
    path.write_text(text, encoding="utf-8")
    return read(path, Decimal("7.5"))


def mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        rules_of(tmp_path, text)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{tmp_path / 'rules.toml'}: ") for line in lines)
    return [line.removeprefix(f"{tmp_path / 'rules.toml'}: ") for line in lines]


def test_the_default_file_has_a_rule_of_each_kind_for_every_symbol() -> None:
    rules = read(DEFAULT_FILE, Decimal(5)).for_symbol("ANY")
    assert [rule.percent for rule in rules.quote] == [5]
    for found, kinds in [(rules.bar, BarRule), (rules.silence, SilenceRule), (rules.split, SplitRule)]:
        assert {type(rule) for rule in found} == set(get_args(kinds) or (kinds,))
        assert len(found) == len({type(rule) for rule in found})


def test_a_rule_that_names_a_symbol_replaces_the_rules_of_its_kind_that_name_none(tmp_path: Path) -> None:
    rules = rules_of(
        tmp_path,
        """
        [groups]
        coins = ["BTC-USD", "ETH-USD"]
        [[rule]]
        kind = "price_move"
        [[rule]]
        kind = "price_move"
        name = "coins"
        groups = ["coins"]
        symbols = ["DOGE-USD"]
        percent = 20
        [[rule]]
        kind = "rsi"
        """,
    )
    for symbol, names in (("AAPL", ["price_move"]), ("ETH-USD", ["coins"]), ("DOGE-USD", ["coins"])):
        assert [rule.id for rule in rules.for_symbol(symbol).quote] == names
        assert [type(rule) for rule in rules.for_symbol(symbol).bar] == [Rsi]
    [default] = rules.for_symbol("AAPL").quote
    assert isinstance(default, PriceMove)
    assert default.percent == 7.5


def test_every_mistake_in_a_file_is_reported_with_its_rule(tmp_path: Path) -> None:
    assert mistakes(
        tmp_path,
        """
        colour = "red"
        [groups]
        odd = ["A B"]
        [[rule]]
        kind = "rsi"
        above = 40
        [[rule]]
        kind = "unheard_of"
        [[rule]]
        percent = 5
        [[rule]]
        kind = "z_score"
        treshold = 5
        [[rule]]
        kind = "macd_crossover"
        groups = ["none"]
        symbols = [""]
        [[rule]]
        kind = "split"
        [[rule]]
        kind = "split"
        """,
    ) == [
        "colour: unknown key; a rules file has [groups] and [[rule]]",
        "group odd: 'A B' is not a symbol",
        "rule 1 (rsi): Expected `float` > 50.0, in above",
        f"rule 2 (unheard_of): Invalid value 'unheard_of', in kind; the kinds are {KINDS}",
        "rule 3 (no kind): Object missing required field `kind`",
        "rule 4 (z_score): Object contains unknown field `treshold`",
        "rule 5 (macd_crossover): '' is not a symbol",
        "rule 5 (macd_crossover): there is no group 'none' in [groups]",
        "rule 7 (split): rule 6 is also called split; give one of them a name",
    ]


def test_an_empty_group_does_not_make_its_rules_hold_for_all_symbols(tmp_path: Path) -> None:
    text = '[groups]\ncoins = []\n[[rule]]\nkind = "rsi"\ngroups = ["coins"]'
    assert mistakes(tmp_path, text) == [
        "group coins: is empty, and a rule for an empty group would hold for all symbols: remove both"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[rule", "Expected"),
        ("rule = 1", "groups must be a table and rule a list of tables: write [groups] and [[rule]]"),
        ("rule = [1]", "rule 1: Expected `object`, got `int`"),
        ("[[rule]]\nkind = 'rsi'\n" * 51, "there are 51 rules, and the most is 50"),
    ],
)
def test_a_file_of_another_form_is_reported(tmp_path: Path, text: str, problem: str) -> None:
    assert any(problem in mistake for mistake in mistakes(tmp_path, text))


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        read(tmp_path / "none.toml", Decimal(5))
