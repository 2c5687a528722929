"""The registry of alert kinds. A new kind is a module with one class, and the class in one of these unions. Pure."""

from __future__ import annotations

from processor_lambda.alerts.bollinger_breakout import BollingerBreakout
from processor_lambda.alerts.macd_crossover import MacdCrossover
from processor_lambda.alerts.price_move import PriceMove
from processor_lambda.alerts.rsi import Rsi
from processor_lambda.alerts.sma_crossover import SmaCrossover
from processor_lambda.alerts.split import Split
from processor_lambda.alerts.stale_feed import StaleFeed
from processor_lambda.alerts.volume_spike import VolumeSpike
from processor_lambda.alerts.z_score import ZScore

QuoteRule = PriceMove
"""The kinds of rules that are evaluated at each quote."""
BarRule = ZScore | BollingerBreakout | SmaCrossover | Rsi | MacdCrossover | VolumeSpike
"""The kinds of rules that are evaluated when a bar closes."""
SilenceRule = StaleFeed
"""The kinds of rules that are evaluated at each heartbeat."""
SplitRule = Split
"""The kinds of rules that are evaluated when a split is detected."""

Rule = QuoteRule | BarRule | SilenceRule | SplitRule
