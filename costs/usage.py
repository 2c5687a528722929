"""What AWS bills by the call, as counts; and what those cost. One form for what was metered and what is expected."""

from __future__ import annotations

import msgspec

from costs.prices import Prices

GIGABYTE = 1e9


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of billed units. Fractions where they are expected ones."""

    quotes: float = 0
    payload_units: float = 0
    stream_bytes: float = 0
    invocations: float = 0
    gb_seconds: float = 0
    row_writes: float = 0
    """Write units of the quotes' table; those of bars, and of states with their marks, stand apart."""
    bar_writes: float = 0
    state_writes: float = 0
    read_units: float = 0
    archive_puts: float = 0
    other_puts: float = 0
    """PUT and LIST requests that are not the archive's: the depot's, the quarantine's."""
    archive_bytes: float = 0
    log_bytes: float = 0
    alerts: float = 0

    @property
    def write_units(self) -> float:
        """Of all tables together."""
        return self.row_writes + self.bar_writes + self.state_writes


class Item(msgspec.Struct, frozen=True):
    """One line of a bill."""

    name: str
    quantity: float
    unit: str
    usd: float


def items(usage: Usage, prices: Prices, architecture: str = "arm64") -> tuple[Item, ...]:
    """What the calls cost, tables on demand. Nothing that is billed by the hour or for being kept."""

    def item(name: str, quantity: float, price: str) -> Item:
        return Item(name, quantity, prices.prices[price].unit, quantity * prices.usd(price))

    return (
        item("Kinesis payload", usage.payload_units, "kinesis_payload_unit"),
        item("Lambda requests", usage.invocations, "lambda_request"),
        item("Lambda time", usage.gb_seconds, f"lambda_gb_second_{architecture}"),
        item("DynamoDB rows", usage.row_writes, "dynamodb_write_on_demand"),
        item("DynamoDB bars", usage.bar_writes, "dynamodb_write_on_demand"),
        item("DynamoDB states and marks", usage.state_writes, "dynamodb_write_on_demand"),
        item("DynamoDB reads", usage.read_units, "dynamodb_read_on_demand"),
        item("S3 archive requests", usage.archive_puts, "s3_put"),
        item("S3 other requests", usage.other_puts, "s3_put"),
        item("Logs", usage.log_bytes / GIGABYTE, "logs_gb"),
    )


def per_million(usd: float, quotes: float) -> float | None:
    """Dollars per million quotes; None of no quotes."""
    return usd / quotes * 1e6 if quotes else None
