"""Edits a watchlist and keeps its comments and its order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import tomlkit
from tomlkit.items import AoT

from operations.errors import WrongUsage
from quotes import is_symbol
from quotes.encodings import decode_text
from watchlist import WatchGroup, parse
from watchlist.suggestions import did_you_mean
from watchlist.symbol_names import refused, similar, yahoo_hint


def added(content: bytes, symbols: Sequence[str], group: str | None, *, is_new: bool = False) -> bytes:
    """The watchlist with more symbols at the end of a group, which is the only one if none is named.

    `is_new` makes the group. Symbols that the group has already are left out. Raises `WrongUsage`, or
    `InvalidWatchlist` if the watchlist is not valid.
    """
    groups = parse(content)
    if problems := [f"{refused(symbol)} is not a symbol" for symbol in symbols if not is_symbol(symbol)]:
        raise WrongUsage("; ".join(problems))
    name = _group_name(groups, group, is_new=is_new)
    holders = {symbol: each.name for each in groups for symbol in each.symbols}
    if elsewhere := [symbol for symbol in symbols if holders.get(symbol, name) != name]:
        listed = ", ".join(f"{symbol} is in group {holders[symbol]}" for symbol in elsewhere)
        raise WrongUsage(f"{listed}: a symbol is in one group only, so remove it there first")
    fresh = [symbol for symbol in dict.fromkeys(symbols) if symbol not in holders]
    document = tomlkit.parse(decode_text(content))
    if is_new:
        _append_group(document, name, fresh)
    else:
        table = next(table for table in _tables(document) if table["name"] == name)
        for symbol in fresh:
            table["symbols"].append(symbol)
    return tomlkit.dumps(document).encode()


def removed(content: bytes, symbols: Sequence[str]) -> bytes:
    """The watchlist without some symbols, and without the groups that have none left.

    Raises `WrongUsage`, or `InvalidWatchlist` if the watchlist is not valid.
    """
    groups = parse(content)
    known = [symbol for group in groups for symbol in group.symbols]
    if absent := [_absent(symbol, known) for symbol in symbols if symbol not in known]:
        raise WrongUsage("; ".join(absent))
    if set(known) <= set(symbols):
        raise WrongUsage("the watchlist would be empty; to stop polling on AWS, deploy with DesiredCount=0")
    document = tomlkit.parse(decode_text(content))
    tables = _tables(document)
    for number in reversed(range(len(tables))):
        own = tables[number]["symbols"]
        if set(own) <= set(symbols):
            del tables[number]
            continue
        for symbol in symbols:
            if symbol in own:
                own.remove(symbol)
    return tomlkit.dumps(document).encode()


def hints(groups: Iterable[WatchGroup], symbols: Iterable[str]) -> Iterator[str]:
    """What to ask a person about symbols that Yahoo writes in another way. Recordings name theirs in any way."""
    recorded = {symbol for group in groups if group.source == "replay" for symbol in group.symbols}
    for symbol in symbols:
        if symbol not in recorded and (hint := yahoo_hint(symbol, is_missing=False)) is not None:
            yield f"{symbol}: {hint}"


def _group_name(groups: Sequence[WatchGroup], group: str | None, *, is_new: bool) -> str:
    names = [each.name for each in groups]
    if is_new and group is not None:
        if group in names:
            raise WrongUsage(f"there is a group {group} already; add to it with --group {group}")
        return group
    if group is None:
        if len(names) > 1:
            raise WrongUsage(f"there are several groups; name one with --group: {', '.join(names)}")
        return names[0]
    if group not in names:
        advice = did_you_mean(group, names, otherwise=f"the groups are {', '.join(names)}")
        raise WrongUsage(f"there is no group {group!r}; {advice}; --new-group makes one")
    return group


def _absent(symbol: str, known: Sequence[str]) -> str:
    close = similar(symbol, known)
    return f"{symbol} is in no group" + (f" (did you mean {close}?)" if close else "")


def _tables(document: Mapping[str, Any]) -> Any:
    return document["group"]


def _append_group(document: Mapping[str, Any], name: str, symbols: Sequence[str]) -> None:
    tables = _tables(document)
    table = tomlkit.table() if isinstance(tables, AoT) else tomlkit.inline_table()
    table["name"] = name
    array = tomlkit.array()
    array.extend(symbols)
    table["symbols"] = array.multiline(isinstance(tables, AoT))
    tables.append(table)
