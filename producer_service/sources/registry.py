"""Every source that the producer knows.

A new source is added to this list and nowhere else in this package; CONTRIBUTING.md lists the places outside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from producer_service.sources import replay, synthetic, yahoo, yahoo_stream
from producer_service.sources.definition import SourceDefinition

SOURCES: Mapping[str, SourceDefinition[Any]] = {
    definition.name: definition
    for definition in (yahoo.DEFINITION, yahoo_stream.DEFINITION, replay.DEFINITION, synthetic.DEFINITION)
}
DEFAULT_SOURCE = yahoo.DEFINITION.name
