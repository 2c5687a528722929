"""The step that computes the bill so far, from list prices.

AWS's own figures come a day later and cost a cent a request. So this takes what costs by the hour for the time of the
test, and what costs by the quote at the rate at which quotes came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from costs import prices
from costs.bill import Plan, bill, total
from costs.expected_usage import MONTH_HOURS, Setup, lanes_for
from smoke.deadline import Deadline
from smoke.plan import HOUR_SECONDS
from smoke.quotes import Quotes
from smoke.stage import Stage
from smoke.verdicts import Passed, Verdict

MIB = 1024


@dataclass(frozen=True)
class BillSoFar:
    """What the stage has cost since the test began."""

    stage: Stage
    quotes: Quotes

    def computed(self, _deadline: Deadline) -> Verdict:
        """Compute it. It always passes."""
        hours = (self.stage.clock.now() - self.stage.started_at).total_seconds() / HOUR_SECONDS
        symbols, quotes_a_second = self.quotes.rate()
        parameters: dict[str, str] = {}
        for stack in ("stream", "storage", "processor", "producer"):
            parameters |= self.stage.parameters(stack)
        return Passed(so_far(parameters, symbols, quotes_a_second, hours))


def so_far(parameters: Mapping[str, str], symbols: int, quotes_a_second: float, hours: float) -> str:
    """The bill of some hours in a sentence. Pure, but for the file of prices."""
    polled = max(symbols, 1)
    setup = Setup(
        symbols=polled,
        interval_seconds=polled / quotes_a_second if quotes_a_second else HOUR_SECONDS,
        lanes=int(parameters.get("Lanes") or lanes_for(polled)),
        shards=int(parameters.get("ShardCount") or 1),
        resolution="minute" if parameters.get("RowResolution") == "minute" else "every",
        memory_mb=int(parameters.get("MemorySize") or 512),
    )
    plan = Plan(
        hours="always",
        tables="provisioned" if parameters.get("TableBilling") == "PROVISIONED" else "on-demand",
        stream="on-demand" if parameters.get("StreamMode") == "ON_DEMAND" else "provisioned",
        architecture="x86_64" if parameters.get("Architecture") == "x86_64" else "arm64",
        task_vcpu=int(parameters.get("Cpu") or 256) / MIB,
        task_gb=int(parameters.get("Memory") or 512) / MIB,
        collector=parameters.get("MetricsCollector") == "adot",
    )
    table = prices.read()
    month = bill(setup, plan, table)
    share = hours / MONTH_HOURS
    fixed, by_quote = (total(month.lines, kind) * share for kind in ("fixed", "quotes"))
    return (
        f"${fixed + by_quote:.2f} for {hours * 60:.0f} minutes (${fixed:.2f} by the hour and ${by_quote:.2f} by the "
        f"quote, for {quotes_a_second:.1f} quotes a second; ${month.usd:,.2f} a month), computed from list prices of "
        f"{table.region} and not metered; without queries, transfer and taxes"
    )
