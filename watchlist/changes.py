"""What differs between two watchlists. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from watchlist.groups import WatchGroup

_MAX_NAMED = 20
"""How many symbols a line names."""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """The difference of two lists of groups. A group is known by its name."""

    kept: tuple[str, ...]
    """The names of the groups that stay exactly as they are."""
    added: tuple[WatchGroup, ...]
    removed: tuple[WatchGroup, ...]
    changed: tuple[tuple[WatchGroup, WatchGroup], ...]
    """The groups that differ in anything, as they were and as they are."""
    added_symbols: tuple[str, ...]
    """The symbols that no group had before."""
    removed_symbols: tuple[str, ...]
    """The symbols that no group has any more."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def lines(self) -> list[str]:
        """The changes for a person, one a line, without an end mark. Long lists of symbols are cut."""
        return [
            *(f"group {group.name}: new, with {_named(group.symbols)}" for group in self.added),
            *(f"group {group.name}: removed, with {_named(group.symbols)}" for group in self.removed),
            *(line for before, after in self.changed for line in _group_lines(before, after)),
        ]


def changes(before: Sequence[WatchGroup], after: Sequence[WatchGroup]) -> Changes:
    """What changes from one list of groups to another. The order of the groups does not count."""
    old = {group.name: group for group in before}
    new = {group.name: group for group in after}
    had, has = _symbols(before), _symbols(after)
    return Changes(
        kept=tuple(name for name, group in new.items() if old.get(name) == group),
        added=tuple(group for name, group in new.items() if name not in old),
        removed=tuple(group for name, group in old.items() if name not in new),
        changed=tuple((old[name], group) for name, group in new.items() if name in old and old[name] != group),
        added_symbols=tuple(symbol for symbol in has if symbol not in had),
        removed_symbols=tuple(symbol for symbol in had if symbol not in has),
    )


def _symbols(groups: Iterable[WatchGroup]) -> dict[str, None]:
    return dict.fromkeys(symbol for group in groups for symbol in group.symbols)


def _group_lines(before: WatchGroup, after: WatchGroup) -> Iterator[str]:
    had, has = set(before.symbols), set(after.symbols)
    if added := [symbol for symbol in after.symbols if symbol not in had]:
        yield f"group {after.name}: added {_named(added)}"
    if removed := [symbol for symbol in before.symbols if symbol not in has]:
        yield f"group {after.name}: removed {_named(removed)}"
    if had == has and before.symbols != after.symbols:
        yield f"group {after.name}: another order of the same symbols"
    for key in ("interval_seconds", "calendar", "source"):
        old, new = getattr(before, key), getattr(after, key)
        if old != new:
            yield f"group {after.name}: {key} {_text(old)} -> {_text(new)}"


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float | int) else str(value)


def _named(symbols: Sequence[str]) -> str:
    more = f" and {len(symbols) - _MAX_NAMED:,} more" if len(symbols) > _MAX_NAMED else ""
    return ", ".join(symbols[:_MAX_NAMED]) + more
