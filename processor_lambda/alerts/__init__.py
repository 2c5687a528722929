"""Alerts: one class for each kind, the rules of each symbol, and when a signal becomes an alert. Pure.

`rules_file` reads rules from a file, and is not part of the pure core.
"""

from processor_lambda.alerts.bollinger_breakout import BollingerBreakout
from processor_lambda.alerts.kinds import BarRule, QuoteRule, Rule, SilenceRule, SplitRule
from processor_lambda.alerts.macd_crossover import MacdCrossover
from processor_lambda.alerts.price_move import PriceMove
from processor_lambda.alerts.rsi import Rsi
from processor_lambda.alerts.rules import Rules, RulesInUse, SymbolRules, differences
from processor_lambda.alerts.sma_crossover import SmaCrossover
from processor_lambda.alerts.split import Split
from processor_lambda.alerts.stale_feed import StaleFeed
from processor_lambda.alerts.volume_spike import VolumeSpike
from processor_lambda.alerts.z_score import ZScore

__all__ = [
    "BarRule",
    "BollingerBreakout",
    "MacdCrossover",
    "PriceMove",
    "QuoteRule",
    "Rsi",
    "Rule",
    "Rules",
    "RulesInUse",
    "SilenceRule",
    "SmaCrossover",
    "Split",
    "SplitRule",
    "StaleFeed",
    "SymbolRules",
    "VolumeSpike",
    "ZScore",
    "differences",
]
