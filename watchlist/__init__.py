"""The watchlist: which symbols are polled together, how often, at which hours and from which source.

`document` reads the TOML file, and `changes` finds what differs between two of them. The producer, the deployer and the
operator's commands share this package, so each of them refuses what the others would refuse.
"""

from watchlist.changes import Changes, changes
from watchlist.document import MAX_BYTES, SOURCES, SYNTHETIC_SYMBOLS, Defaults, InvalidWatchlist, parse, written
from watchlist.groups import DEFAULT_GROUP, MAX_INTERVAL_SECONDS, MIN_INTERVAL_SECONDS, WatchGroup
from watchlist.lanes import DEFAULT_LANES, lane_problems

__all__ = [
    "DEFAULT_GROUP",
    "DEFAULT_LANES",
    "MAX_BYTES",
    "MAX_INTERVAL_SECONDS",
    "MIN_INTERVAL_SECONDS",
    "SOURCES",
    "SYNTHETIC_SYMBOLS",
    "Changes",
    "Defaults",
    "InvalidWatchlist",
    "WatchGroup",
    "changes",
    "lane_problems",
    "parse",
    "written",
]
