"""Which settings have no effect beside the others. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from producer_service.group_state import GroupState
from producer_service.settings import PREFIX, VARIABLES, Configuration, Settings
from producer_service.sources.registry import SOURCES
from watchlist.groups import ALWAYS


def settings_without_effect(
    environment: Mapping[str, str], config: Configuration[Settings], states: Sequence[GroupState]
) -> Iterator[tuple[str, str]]:
    """The variables that the user has set and that change nothing, each with the reason.

    They are no mistakes: a deployment sets the variables of every source, whichever is used. Those that have their
    default are left out.
    """

    def is_set(name: str) -> bool:
        return environment.get(name, "") not in ("", VARIABLES[name][0])

    used = set(config.source_settings)
    used.update(*(SOURCES[name].also_settings_of for name in config.source_settings))
    for definition in SOURCES.values():
        if definition.name in used:
            continue
        prefix = definition.settings.model_config["env_prefix"]
        for field in definition.settings.model_fields:
            if is_set(prefix + field.upper()):
                yield prefix + field.upper(), f"the source {definition.name} is not used"
    if config.settings.journal_dir is None and is_set(PREFIX + "JOURNAL_SYNC_SECONDS"):
        yield PREFIX + "JOURNAL_SYNC_SECONDS", f"there is no journal on disk without {PREFIX}JOURNAL_DIR"
    if all(state.calendars == (ALWAYS,) for state in states):
        for name in ("BEFORE_OPEN_SECONDS", "AFTER_CLOSE_SECONDS"):
            if is_set(PREFIX + name):
                yield PREFIX + name, "every group is polled at any time"
