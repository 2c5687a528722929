"""How a source is described to the rest of the producer: its name, its settings, and how to open it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic_settings import BaseSettings, SettingsConfigDict

from producer_service.sources import Source


class SourceSettings(BaseSettings):
    """The settings of one source.

    A subclass names its prefix: `model_config = SettingsConfigDict(env_prefix="PRODUCER_REPLAY_")`. A field without a
    default is required only if the source is used.
    """

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")


S = TypeVar("S", bound=SourceSettings)


@dataclass(frozen=True, kw_only=True)
class SourceDefinition(Generic[S]):
    """One source that the user can choose."""

    name: str
    """The value of PRODUCER_SOURCE that chooses it."""
    description: str
    """What it is, in a few words for `--help`."""
    prices: str = "prices"
    """What kind of prices it delivers, such as `simulated prices`."""
    settings: type[S]
    also_settings_of: tuple[str, ...] = ()
    """The other sources whose settings hold for this one too."""
    needs_symbols: bool
    """Whether the user must name the symbols, because the source cannot know them."""
    is_fixed: bool = False
    """Whether the groups of the source stay as they are while the producer runs, because it plays a recording."""
    open: Callable[[S, tuple[str, ...]], Source]
    """Opens the source for some symbols, or for all it has if there are none. Raises `ConfigurationError`.

    It imports the source's module, so that only the sources in use are loaded: yfinance alone takes most of a second.
    """
