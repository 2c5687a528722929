"""Reads alert rules from a TOML file, each for all symbols or for some.

    [groups]
    coins = ["BTC-USD", "ETH-USD"]

    [[rule]]
    kind = "price_move"
    groups = ["coins"]
    percent = 10

docs/alerts.md describes each kind and field. `default_rules.toml` holds the defaults.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec.structs import replace

from processor_lambda.alerts.kinds import Rule
from processor_lambda.alerts.rules import Rules
from processor_lambda.errors import SettingsError
from quotes import is_symbol
from quotes.bounds import MAX_TOML, OutOfBounds, read_toml
from quotes.encodings import decode_text

DEFAULT_FILE = Path(__file__).with_name("default_rules.toml")
UNKNOWN_PERCENT = Decimal(-1)
"""Stands for the parameter AnomalyPercent where rules are only compared. No rules file can have this percentage."""
MAX_BYTES = 4 * MAX_TOML
"""The most bytes of a file: a character has at most four."""
_KINDS = sorted(str(kind.__struct_config__.tag) for kind in get_args(Rule))
MAX_RULES = 50
"""The most rules in a file. The state of each rule and symbol is part of the lane's item, which is limited in size."""


def read(path: Path, anomaly_percent: Decimal) -> Rules:
    """The rules of a file. A `price_move` without a percent takes `anomaly_percent`.

    Raises `SettingsError` with all mistakes, one a line, each with the rule's place in the file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path}: {error}") from error
    return parse(content, str(path), anomaly_percent)


def parse(content: bytes, place: str, anomaly_percent: Decimal) -> Rules:
    """The rules in the content of a file at a place. Raises `SettingsError` as `read` does."""
    try:
        if len(content) > MAX_BYTES:
            raise OutOfBounds(f"it is longer than {MAX_TOML:,} characters")
        document = read_toml(io.StringIO(decode_text(content), newline="").read)
    except ValueError as error:
        raise SettingsError(f"{place}: {error}") from error
    rules, mistakes = _rules(document, float(anomaly_percent))
    if mistakes:
        raise SettingsError("\n".join(f"{place}: {mistake}" for mistake in mistakes))
    return Rules(rules)


def _rules(document: Mapping[str, Any], anomaly_percent: float) -> tuple[list[Rule], list[str]]:
    mistakes = [
        f"{key}: unknown key; a rules file has [groups] and [[rule]]" for key in document.keys() - {"groups", "rule"}
    ]
    groups, tables = document.get("groups", {}), document.get("rule", [])
    if not isinstance(groups, dict) or not isinstance(tables, list):
        return [], [*mistakes, "groups must be a table and rule a list of tables: write [groups] and [[rule]]"]
    for name, symbols in groups.items():
        mistakes += [f"group {name}: {problem}" for problem in _no_symbols(symbols)]
        if symbols == []:
            mistakes.append(
                f"group {name}: is empty, and a rule for an empty group would hold for all symbols: remove both"
            )
    if len(tables) > MAX_RULES:
        mistakes.append(f"there are {len(tables)} rules, and the most is {MAX_RULES}")
    rules: list[Rule] = []
    names: dict[str, int] = {}
    for number, table in enumerate(tables, start=1):
        where = f"rule {number} ({table.get('kind', 'no kind')})" if isinstance(table, dict) else f"rule {number}"
        try:
            rule: Rule = msgspec.convert(table, Rule)
        except msgspec.ValidationError as error:
            mistakes.append(f"{where}: {_plain(error)}")
            continue
        mistakes += [f"{where}: {problem}" for problem in _no_symbols(list(rule.symbols))]
        mistakes += [
            f"{where}: there is no group {group!r} in [groups]" for group in rule.groups if group not in groups
        ]
        if names.setdefault(rule.id, number) != number:
            mistakes.append(f"{where}: rule {names[rule.id]} is also called {rule.id}; give one of them a name")
        if not mistakes:
            symbols = (*rule.symbols, *(symbol for group in rule.groups for symbol in groups[group]))
            rules.append(replace(rule.completed(anomaly_percent), name=rule.id, symbols=symbols))
    return rules, mistakes


def _no_symbols(symbols: object) -> list[str]:
    if not isinstance(symbols, list):
        return ["is not a list of symbols"]
    return [
        f"{symbol!r:.60} is not a symbol" for symbol in symbols if not isinstance(symbol, str) or not is_symbol(symbol)
    ]


def _plain(error: msgspec.ValidationError) -> str:
    """The message of msgspec, with the field's name in place of a JSON path. For a wrong kind, it names all kinds."""
    message = re.sub(r" - at `\$\.?([^`]*)`$", r", in \1", str(error)).removesuffix(", in ")
    return f"{message}; the kinds are {', '.join(_KINDS)}" if message.endswith(", in kind") else message
