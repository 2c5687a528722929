"""The plan: which groups are polled, from which open sources, by which hours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import structlog

from producer_service import calendars
from producer_service.errors import ConfigurationError
from producer_service.group_state import trading_of_group
from producer_service.market_hours import MarketHours
from producer_service.settings import Configuration, Settings, WatchSettings, is_object
from producer_service.sources import PushedSource, Source, doubtful_names
from producer_service.sources.definition import SourceDefinition
from watchlist import DEFAULT_GROUP, WatchGroup, lane_problems

log = structlog.get_logger(__name__)


class Plan(NamedTuple):
    """The groups, the open sources, and the hours of the calendars that they follow."""

    groups: tuple[WatchGroup, ...]
    sources: dict[str, Source]
    """At least the sources that the groups name. A source stays open when no group names it any more."""
    market_hours: MarketHours

    @property
    def calendars(self) -> tuple[str, ...]:
        """The calendars that the groups follow, by their names."""
        return _calendars(self.groups, self.sources)

    def symbols_of(self, source: str) -> tuple[str, ...]:
        """The symbols of all groups of a source."""
        return _symbols(group for group in self.groups if group.source == source)


def make_plan(config: Configuration[Settings], definitions: Mapping[str, SourceDefinition[Any]], now: datetime) -> Plan:
    """Open each source that is used, once, and complete the groups. Raises `ConfigurationError`.

    Without a watchlist, the settings describe the only group. A group without symbols has all symbols of its source. A
    watchlist in S3 that is not read yet has no groups.
    """
    plan = make_watch_plan(config, definitions, now)
    _check_lanes(plan.groups, config)
    return plan


def changed_plan(
    config: Configuration[Settings], definitions: Mapping[str, SourceDefinition[Any]], before: Plan, now: datetime
) -> Plan:
    """The plan for other groups, with the sources and calendars that are open already. Raises `ConfigurationError`.

    It opens the sources that were not used before, and a pushed source anew if its groups change. The groups of a
    source that plays a recording from its start must stay as they are.
    """
    _check_lanes(config.groups, config)
    sources = dict(before.sources)
    mistakes: list[str] = []
    for name in dict.fromkeys(group.source for group in (*before.groups, *config.groups)):
        own = tuple(group for group in config.groups if group.source == name)
        past = tuple(group for group in before.groups if group.source == name)
        is_open = name in sources
        if past and definitions[name].is_fixed and own != past:
            mistakes.append(f"the source {name} plays a recording, so its groups change only at a new start")
        elif own and (not is_open or (isinstance(sources[name], PushedSource) and own != past)):
            try:
                sources[name] = definitions[name].open(config.source_settings[name], _symbols(own))
            except ConfigurationError as error:
                mistakes += error.mistakes
    if mistakes:
        raise ConfigurationError([f"{config.settings.watchlist}: {mistake}" for mistake in mistakes])
    before.market_hours.include(_calendars(config.groups, sources), now)
    return Plan(config.groups, sources, before.market_hours)


def _check_lanes(groups: Iterable[WatchGroup], config: Configuration[Settings]) -> None:
    if problems := lane_problems(_symbols(groups), config.settings.lanes):
        raise ConfigurationError(problems)


def _symbols(groups: Iterable[WatchGroup]) -> tuple[str, ...]:
    return tuple(symbol for group in groups for symbol in group.symbols)


def make_watch_plan(
    config: Configuration[WatchSettings], definitions: Mapping[str, SourceDefinition[Any]], now: datetime
) -> Plan:
    """The plan of `make_plan` for a command that delivers nothing, so it needs no lanes."""
    settings = config.settings
    if is_object(settings.watchlist) and not config.groups:
        return Plan((), {}, MarketHours((), calendars.load, now))
    groups = config.groups or (
        WatchGroup(
            name=DEFAULT_GROUP,
            symbols=settings.symbols,
            interval_seconds=settings.poll_interval_seconds,
            calendar=settings.calendar,
            source=settings.source,
        ),
    )
    sources: dict[str, Source] = {}
    mistakes: list[str] = []
    for name in dict.fromkeys(group.source for group in groups):
        symbols = _symbols(group for group in groups if group.source == name)
        try:
            sources[name] = definitions[name].open(config.source_settings[name], symbols)
        except ConfigurationError as error:
            mistakes += error.mistakes
    if mistakes:
        raise ConfigurationError(mistakes)
    groups = tuple(
        msgspec.structs.replace(group, symbols=group.symbols or sources[group.source].symbols) for group in groups
    )
    return Plan(groups, sources, MarketHours(_calendars(groups, sources), calendars.load, now))


def _calendars(groups: Iterable[WatchGroup], sources: Mapping[str, Source]) -> tuple[str, ...]:
    tradings = (trading_of_group(group, sources[group.source].traits) for group in groups)
    return tuple(sorted({trading.calendar for by_symbol in tradings for trading in by_symbol.values()}))


def log_doubtful_names(plan: Plan) -> None:
    """Warn of symbols that their source writes in another way: they may have no price, or be stored under two names."""
    hints = {
        symbol: hint
        for name, source in plan.sources.items()
        for symbol, hint in doubtful_names(plan.symbols_of(name), source.traits)
    }
    if hints:
        log.warning("symbols_doubtful", hints=hints, action="they are polled as they are written")
