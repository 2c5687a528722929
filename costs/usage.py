"""Counts of what AWS bills by the call, and what they cost. Metered and expected usage both have this form. Pure."""

from __future__ import annotations

import msgspec

from costs.prices import Prices

GIGABYTE = 1e9


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of billed units. Expected counts may have fractions."""

    quotes: float = 0
    payload_units: float = 0
    """PUT payload units of Kinesis."""
    stream_bytes: float = 0
    """Bytes put on the stream, with partition keys."""
    invocations: float = 0
    gb_seconds: float = 0
    """The memory of the function times its billed duration."""
    row_writes: float = 0
    """Write units of the quotes table."""
    bar_writes: float = 0
    """Write units of the bars table."""
    state_writes: float = 0
    """Write units of the state table, for states and published marks."""
    alert_writes: float = 0
    """Write units of the alerts table."""
    read_units: float = 0
    """Read units of all tables."""
    archive_puts: float = 0
    """PUT requests for archive objects."""
    other_puts: float = 0
    """PUT and LIST requests that are not for the archive: those of the handover store and of the quarantine."""
    configuration_gets: float = 0
    """GET requests by which running programs see whether their configuration has changed."""
    archive_bytes: float = 0
    log_bytes: float = 0
    alerts: float = 0
    """Messages to the alerts topic."""

    @property
    def write_units(self) -> float:
        """The write units of all tables together."""
        return self.row_writes + self.bar_writes + self.state_writes + self.alert_writes


class Item(msgspec.Struct, frozen=True):
    """The price of one kind of usage."""

    name: str
    quantity: float
    unit: str
    usd: float


def items(usage: Usage, prices: Prices, architecture: str = "arm64") -> tuple[Item, ...]:
    """What the calls cost with on-demand tables. What is billed by the hour or for storage is not included."""

    def item(name: str, quantity: float, price: str) -> Item:
        return Item(name, quantity, prices.prices[price].unit, quantity * prices.usd(price))

    return (
        item("Kinesis payload", usage.payload_units, "kinesis_payload_unit"),
        item("Lambda requests", usage.invocations, "lambda_request"),
        item("Lambda time", usage.gb_seconds, f"lambda_gb_second_{architecture}"),
        item("DynamoDB rows", usage.row_writes, "dynamodb_write_on_demand"),
        item("DynamoDB bars", usage.bar_writes, "dynamodb_ia_write_on_demand"),
        item("DynamoDB states and marks", usage.state_writes, "dynamodb_write_on_demand"),
        item("DynamoDB alerts", usage.alert_writes, "dynamodb_write_on_demand"),
        item("DynamoDB reads", usage.read_units, "dynamodb_read_on_demand"),
        item("S3 archive requests", usage.archive_puts, "s3_put"),
        item("S3 other requests", usage.other_puts, "s3_put"),
        item("S3 configuration reads", usage.configuration_gets, "s3_get"),
        item("Logs", usage.log_bytes / GIGABYTE, "logs_gb"),
    )


def per_million(usd: float, quotes: float) -> float | None:
    """Dollars per million quotes. None if there are no quotes."""
    return usd / quotes * 1e6 if quotes else None
