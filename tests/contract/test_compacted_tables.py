"""The columns of compacted tables that exist: readers find them by these numbers, so declarations may only add more."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pyiceberg.catalog.sql import SqlCatalog

from analytics.compacted_tables import TABLES, CompactedTable
from compaction.catalogs import NAMESPACE, sqlite_tables

WRITTEN = {
    "compacted_quotes": """
        1 symbol string, 2 event_time timestamp, 3 revision long, 4 price decimal(38, 26), 5 open decimal(38, 26),
        6 high decimal(38, 26), 7 low decimal(38, 26), 8 previous_close decimal(38, 26), 9 volume long,
        10 currency string, 11 exchange string, 12 market_state string, 13 delay_minutes long,
        14 source_time timestamp, 15 volume_period string, 16 provenance string, 17 source string,
        18 ingest_time timestamp, 19 dt string, 20 hour int, 21 day date, 22 object string
        partition: 21 identity
        order: 1 2 3
    """,
    "compacted_actions": """
        1 symbol string, 2 action string, 3 event_time timestamp, 4 numerator long, 5 denominator long,
        6 amount decimal(38, 26), 7 currency string, 8 source string, 9 ingest_time timestamp, 10 dt string,
        11 hour int, 12 day date, 13 object string
        partition:
        order: 1 3 2
    """,
    "compacted_bars": """
        1 symbol string, 2 resolution string, 3 start timestamp, 4 open decimal(38, 26), 5 high decimal(38, 26),
        6 low decimal(38, 26), 7 close decimal(38, 26), 8 volume long, 9 quotes long, 10 provenance string,
        11 source string, 12 sma_5 double, 13 sma_20 double, 14 sma_50 double, 15 ema_12 double, 16 ema_26 double,
        17 bollinger_upper double, 18 bollinger_lower double, 19 rsi_14 double, 20 macd double, 21 macd_signal double,
        22 macd_histogram double, 23 return_mean double, 24 return_deviation double, 25 last_return double,
        26 z_score double, 27 volume_mean double, 28 volume_ratio double, 29 day date
        partition: 29 month
        order: 1 2 3
    """,
    "compacted_sessions": """
        1 symbol string, 2 calendar string, 3 timezone string, 4 day date, 5 opens timestamp, 6 closes timestamp,
        7 expected long, 8 without_trades long
        partition: 4 month
        order: 1 5
    """,
    "archive_days": """
        1 dt string, 2 objects long, 3 bytes long, 4 fingerprint string, 5 quote_lines long, 6 heartbeats long,
        7 actions long, 8 quarantined long, 9 lanes int, 10 packets long, 11 first_event_day date,
        12 last_event_day date, 13 closed_to date, 14 compacted_at timestamp
        partition:
        order: 1
    """,
}


@pytest.mark.parametrize("declared", TABLES, ids=lambda each: each.name)
def test_a_table_keeps_the_columns_that_it_was_made_with(declared: CompactedTable, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/catalog.db"
    sqlite_tables(uri, str(tmp_path)).open(declared)
    made = SqlCatalog(NAMESPACE, uri=uri).load_table((NAMESPACE, declared.name))
    columns, partition, order = _golden(WRITTEN[declared.name])
    assert [f"{each.field_id} {each.name} {each.field_type}" for each in made.schema().fields][
        : len(columns)
    ] == columns
    assert [f"{each.source_id} {each.transform}" for each in made.spec().fields] == partition
    assert [f"{each.source_id}" for each in made.sort_order().fields] == order


def _golden(text: str) -> tuple[list[str], list[str], list[str]]:
    columns, partition, order = re.split("partition:|order:", " ".join(text.split()))
    return re.split(r", (?=\d+ \w+ )", columns.strip()), [partition.strip()] if partition.strip() else [], order.split()
