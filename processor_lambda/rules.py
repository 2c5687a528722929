"""What is alerted on: rules as data, read from a TOML file, each for all symbols or for some.

    [groups]
    coins = ["BTC-USD", "ETH-USD"]

    [[rule]]
    kind = "price_move"
    groups = ["coins"]
    percent = 10

docs/alerts.md says what each kind and field means; `rules.toml` beside this module holds the defaults.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec.structs import replace

from processor_lambda.errors import SettingsError
from quotes import is_symbol

DEFAULT_FILE = Path(__file__).with_name("rules.toml")
MAX_RULES = 50
"""Of a file: what is remembered of each rule and symbol is part of a lane's item."""

Positive = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_-]{1,24}$")]
Severity = Literal["info", "warning", "critical"]


@cache
def _minutes(minutes: int) -> timedelta:
    return timedelta(minutes=minutes)  # made anew for each quote, it is a seventieth of its cost


class _Common(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    name: Name | None = None
    """Part of the alerts' ids, and what a subscription filters on; the kind, if not given."""
    severity: Severity = "warning"
    symbols: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    cooldown_minutes: Annotated[int, msgspec.Meta(ge=0, le=10_080)] = 60
    """The same rule and symbol raise nothing for so long after an alert; what still holds then is raised then."""
    rearm: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.8
    """Hysteresis: a signal has ended when it is back within this part of its threshold."""

    @property
    def id(self) -> str:
        """The rule's name."""
        return self.name or str(self.__struct_config__.tag)

    @property
    def cooldown(self) -> timedelta:
        """`cooldown_minutes` as a duration."""
        return _minutes(self.cooldown_minutes)


class PriceMove(_Common, frozen=True, kw_only=True, tag="price_move"):
    """A price further than `percent` from the previous close, judged at every quote."""

    percent: Positive | None = None
    rearm: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.9


class ZScore(_Common, frozen=True, kw_only=True, tag="z_score"):
    """A one-minute return further than `above` deviations from its exponentially weighted mean.

    It is no signal under `least_percent`: after a flat hour any tick is many deviations.
    """

    above: Positive = 6.0
    least_percent: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 0.25


class BollingerBreakout(_Common, frozen=True, kw_only=True, tag="bollinger_breakout"):
    """A close outside the Bollinger bands (20, 2), by `widths` half-widths of them from their middle."""

    widths: Positive = 1.0


class SmaCrossover(_Common, frozen=True, kw_only=True, tag="sma_crossover"):
    """The 5-minute average crosses the 20-minute one, by `margin_percent` of it."""

    margin_percent: Positive = 0.05


class Rsi(_Common, frozen=True, kw_only=True, tag="rsi"):
    """RSI 14 over `above` (overbought) or under `below` (oversold)."""

    above: Annotated[float, msgspec.Meta(gt=50, lt=100)] = 70.0
    below: Annotated[float, msgspec.Meta(gt=0, lt=50)] = 30.0


class MacdCrossover(_Common, frozen=True, kw_only=True, tag="macd_crossover"):
    """MACD (12, 26, 9) crosses its signal line, by `margin_percent` of the close."""

    margin_percent: Positive = 0.02


class VolumeSpike(_Common, frozen=True, kw_only=True, tag="volume_spike"):
    """A minute's volume over `ratio` times its exponentially weighted mean.

    What follows a gap of the feed, or a night, is not judged: it may be the volume of all of it.
    """

    ratio: Annotated[float, msgspec.Meta(gt=1, le=1e9)] = 10.0


class StaleFeed(_Common, frozen=True, kw_only=True, tag="stale_feed"):
    """No new quote for `minutes`, and for `intervals` times its longest usual interval, of a symbol in an open market.

    Judged at heartbeats. The cooldown is the lane's: an outage reaches every symbol, each at its own time.
    """

    minutes: Positive = 15.0
    intervals: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 4.0


class Split(_Common, frozen=True, kw_only=True, tag="split"):
    """The symbol has split; what is remembered of it was rescaled."""

    severity: Severity = "info"


QuoteRule = PriceMove
BarRule = ZScore | BollingerBreakout | SmaCrossover | Rsi | MacdCrossover | VolumeSpike
Rule = QuoteRule | BarRule | StaleFeed | Split


class SymbolRules(msgspec.Struct, frozen=True):
    """The rules of one symbol, by when they are judged."""

    quote: tuple[QuoteRule, ...]
    bar: tuple[BarRule, ...]
    stale: tuple[StaleFeed, ...]
    split: tuple[Split, ...]


class Rules:
    """Some rules, and which of them hold for a symbol."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._of: dict[str, SymbolRules] = {}

    def of(self, symbol: str) -> SymbolRules:
        """The rules of a symbol: of each kind those that name it, or else those that name none."""
        if symbol not in self._of:
            self._of[symbol] = self._matching(symbol)
        return self._of[symbol]

    def _matching(self, symbol: str) -> SymbolRules:
        named = [rule for rule in self.rules if symbol in rule.symbols]
        kinds = {type(rule) for rule in named}
        rules = named + [rule for rule in self.rules if not rule.symbols and type(rule) not in kinds]
        return SymbolRules(
            tuple(rule for rule in rules if isinstance(rule, QuoteRule)),
            tuple(rule for rule in rules if isinstance(rule, BarRule)),
            tuple(rule for rule in rules if isinstance(rule, StaleFeed)),
            tuple(rule for rule in rules if isinstance(rule, Split)),
        )


def read(path: Path, anomaly_percent: Decimal) -> Rules:
    """The rules of a file. `anomaly_percent` holds for price moves that name no percent.

    Raises `SettingsError` with every mistake, one a line, each with the rule's place in the file.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {error}") from error
    rules, mistakes = _rules(document, float(anomaly_percent))
    if mistakes:
        raise SettingsError("\n".join(f"{path}: {mistake}" for mistake in mistakes))
    return Rules(rules)


def _rules(document: Mapping[str, Any], anomaly_percent: float) -> tuple[list[Rule], list[str]]:
    mistakes = [f"{key}: unknown; there can be [groups] and [[rule]]" for key in document.keys() - {"groups", "rule"}]
    groups, tables = document.get("groups", {}), document.get("rule", [])
    if not isinstance(groups, dict) or not isinstance(tables, list):
        return [], [*mistakes, "groups is a table and rule a list of tables: write [groups] and [[rule]]"]
    for name, symbols in groups.items():
        mistakes += [f"group {name}: {problem}" for problem in _no_symbols(symbols)]
        if symbols == []:
            mistakes.append(
                f"group {name}: has no symbols, and a rule for none would be one for all: take it and its rules out"
            )
    if len(tables) > MAX_RULES:
        mistakes.append(f"{len(tables)} rules, and there can be {MAX_RULES}")
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
        mistakes += [f"{where}: no group {group!r} in [groups]" for group in rule.groups if group not in groups]
        if names.setdefault(rule.id, number) != number:
            mistakes.append(f"{where}: rule {names[rule.id]} is called {rule.id} too; give one of them a name")
        if not mistakes:
            symbols = (*rule.symbols, *(symbol for group in rule.groups for symbol in groups[group]))
            if isinstance(rule, PriceMove) and rule.percent is None:
                rule = replace(rule, percent=anomaly_percent)
            rules.append(replace(rule, name=rule.id, symbols=symbols))
    return rules, mistakes


def _no_symbols(symbols: object) -> list[str]:
    if not isinstance(symbols, list):
        return ["is not a list of symbols"]
    return [
        f"{symbol!r:.60} is not a symbol" for symbol in symbols if not isinstance(symbol, str) or not is_symbol(symbol)
    ]


def _plain(error: msgspec.ValidationError) -> str:
    """What msgspec says, without its names for the types of values."""
    return re.sub(r" - at `\$\.?([^`]*)`$", r", in \1", str(error)).removesuffix(", in ")
