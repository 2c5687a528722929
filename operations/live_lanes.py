"""The indicators in the states of a deployment's lanes, as a backfill and a rebuild use them."""

from __future__ import annotations

from collections.abc import Sequence

from backfill import lane_refold
from lane_state import Split, SymbolState
from quotes import lane_of, partition_key


class LiveLanes:
    """See `backfill.ports.LiveIndicators`."""

    def __init__(self, states: lane_refold.LaneStates, bars: lane_refold.StoredBars, lanes: int) -> None:
        """`lanes` is the number of lanes of the stream."""
        self._states, self._bars, self._lanes = states, bars, lanes

    def refold(self, symbol: str, splits: Sequence[Split]) -> bool:
        """See `ports.LiveIndicators`."""
        return lane_refold.refold(self._states, symbol, self._bars, splits, self._lanes)

    def split_of(self, symbol: str) -> Split | None:
        """See `ports.LiveIndicators`."""
        known = self._known(symbol)
        return known.split if known is not None and known.split is not None and known.split.is_applied else None

    def currency_of(self, symbol: str) -> str | None:
        """The currency of a symbol's quotes. None if the stream does not know the symbol, or its currency."""
        known = self._known(symbol)
        return None if known is None else known.currency

    def _known(self, symbol: str) -> SymbolState | None:
        return self._states.read(partition_key(lane_of(symbol, self._lanes), self._lanes)).state.symbols.get(symbol)
