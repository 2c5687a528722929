"""A set of rules, and the rules that hold for one symbol. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from processor_lambda.alerts.kinds import BarRule, QuoteRule, Rule, SilenceRule, SplitRule


class SymbolRules(msgspec.Struct, frozen=True):
    """The rules of one symbol, by the event at which they are evaluated."""

    quote: tuple[QuoteRule, ...]
    bar: tuple[BarRule, ...]
    silence: tuple[SilenceRule, ...]
    split: tuple[SplitRule, ...]
    names: frozenset[str]
    """The ids of all of them."""


class Rules:
    """A set of rules, and the selection of those that hold for a symbol."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._by_symbol: dict[str, SymbolRules] = {}

    def for_symbol(self, symbol: str) -> SymbolRules:
        """The rules of a symbol.

        For each kind, the rules that name the symbol; if there are none, those that name no symbol.
        """
        if symbol not in self._by_symbol:
            self._by_symbol[symbol] = self._matching(symbol)
        return self._by_symbol[symbol]

    def _matching(self, symbol: str) -> SymbolRules:
        named = [rule for rule in self.rules if symbol in rule.symbols]
        kinds = {type(rule) for rule in named}
        rules = named + [rule for rule in self.rules if not rule.symbols and type(rule) not in kinds]
        return SymbolRules(
            tuple(rule for rule in rules if isinstance(rule, QuoteRule)),
            tuple(rule for rule in rules if isinstance(rule, BarRule)),
            tuple(rule for rule in rules if isinstance(rule, SilenceRule)),
            tuple(rule for rule in rules if isinstance(rule, SplitRule)),
            frozenset(rule.id for rule in rules),
        )


def differences(before: Rules, after: Rules) -> tuple[str, ...]:
    """Which rules are added, removed and changed, one line for each."""
    old, new = ({rule.id: rule for rule in rules.rules} for rules in (before, after))
    return (
        *(f"adds the rule {name}" for name in new if name not in old),
        *(f"removes the rule {name}" for name in old if name not in new),
        *(f"changes the rule {name}" for name, rule in new.items() if old.get(name, rule) != rule),
    )


class RulesInUse(msgspec.Struct, frozen=True):
    """The rules of an instance of the function, and where they come from."""

    rules: Rules
    digest: str
    """The beginning of the SHA-256 of their file, as `sha256sum` prints it."""
    version: str
    """S3's id of the version of their object, or `defaults` for the rules that are packaged with the code."""
    problem: str = ""
    """Why these are not the newest rules; empty if they are."""
