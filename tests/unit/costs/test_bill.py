"""The bill: its lines, its sums, the targets, and the command that prints it."""

from __future__ import annotations

import json
import math
from datetime import date
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from costs import prices
from costs.bill import LEAST_WRITE_CAPACITY, Bill, Mode, Plan, bill, budget_for, total
from costs.cli import app
from costs.expected_usage import Setup, expected_usage, lanes_for, shards_for, sizes_of, usage_of_month
from costs.item_size import decoded_size, item_size
from costs.usage import items, per_million
from quotes import MAX_SYMBOLS_PER_LANE

PRICES = prices.read()
HIGH_RATE = Plan(hours="always", tables="provisioned", history=False)
"""The targets are for quotes alone."""


def setup(symbols: int, **changes: object) -> Setup:
    made = Setup(symbols=symbols, interval_seconds=1, lanes=lanes_for(symbols), shards=shards_for(symbols, 1))
    return msgspec.structs.replace(made, **changes)


class TestFastMode:
    @pytest.mark.parametrize(
        ("stream", "added"),
        [
            ("provisioned", {"Kinesis fan-out": 4 * 730 * 0.015, "Kinesis fan-out data": 0.013}),
            ("on-demand", {"Kinesis out": 0.05 - 0.04}),
        ],
    )
    def test_adds_the_consumer_to_the_bill(self, stream: Mode, added: dict[str, float]) -> None:
        plan = Plan(hours="always", stream=stream)
        cheap, fast = (bill(setup(10_000, latency=latency), plan, PRICES) for latency in ("cheap", "fast"))
        gigabytes = usage_of_month(setup(10_000, latency="fast"), "always").stream_bytes / 1e9
        expected = {name: usd * (1 if name == "Kinesis fan-out" else gigabytes) for name, usd in added.items()}
        before = {line.name: line.usd for line in cheap.lines}
        differences = {line.name: line.usd - before.get(line.name, 0) for line in fast.lines}
        of_consumer = {name: usd for name, usd in differences.items() if name.startswith("Kinesis") and usd}
        assert of_consumer == pytest.approx(expected)

    def test_makes_a_batch_of_each_poll(self) -> None:
        """Lambda looks once a second at a shard that it polls, so it collects the records of faster polls."""

        def archived(latency: str, interval_seconds: float) -> float:
            made = setup(100, latency=latency, interval_seconds=interval_seconds)
            return expected_usage(made, polls=600 / interval_seconds, minutes=10).archive_puts

        of_heartbeats = 10
        assert (archived("cheap", 1), archived("fast", 1)) == (600, 600 + of_heartbeats)
        assert (archived("cheap", 0.5), archived("fast", 0.5)) == (600, 1200 + of_heartbeats)

    def test_a_heartbeat_between_two_polls_is_a_batch_by_itself(self) -> None:
        cheap, fast = (
            expected_usage(setup(24, latency=latency, interval_seconds=10), polls=60, minutes=10).invocations
            for latency in ("cheap", "fast")
        )
        assert (cheap, fast) == pytest.approx((60 + 10 * 0.9, 60 + 10))

    def test_has_no_window(self) -> None:
        result = CliRunner().invoke(app, ["--latency", "fast", "--window", "5"])
        assert result.exit_code == 2
        assert "a window has no effect with --latency fast" in result.output


class TestTargets:
    @pytest.mark.parametrize(
        ("symbols", "task", "bar_days", "target"), [(100, (0.25, 0.5), 365, 0.24), (10_000, (1, 2), 30, 0.035)]
    )
    def test_the_configuration_for_high_rates_meets_its_target(
        self, symbols: int, task: tuple[float, float], bar_days: int, target: float
    ) -> None:
        plan = msgspec.structs.replace(HIGH_RATE, task_vcpu=task[0], task_gb=task[1], bar_days=bar_days)
        priced = bill(setup(symbols, resolution="minute", window_seconds=5, batch_size=200), plan, PRICES)
        assert priced.per_million is not None
        assert priced.per_million < target

    def test_with_bars_kept_for_a_year_recovery_and_storage_of_bars_cost_most(self) -> None:
        priced = bill(setup(10_000, resolution="minute", window_seconds=5, batch_size=200), HIGH_RATE, PRICES)
        names = [line.name for line in sorted(priced.lines, key=lambda line: -line.usd) if "states" not in line.name]
        assert names[:2] == ["DynamoDB recovery", "DynamoDB storage of bars"]

    def test_with_a_row_of_every_quote_the_rows_cost_most_and_miss_the_target(self) -> None:
        every = bill(setup(10_000, window_seconds=5), HIGH_RATE, PRICES)
        assert max(every.lines, key=lambda line: line.usd).name == "DynamoDB rows"
        assert every.per_million is not None
        assert every.per_million > 0.05


class TestBill:
    def test_the_lines_add_up_to_the_total(self) -> None:
        priced = bill(setup(100), Plan(hours="always"), PRICES)
        parts = (total(priced.lines, kind) for kind in ("fixed", "quotes", "history"))
        assert priced.usd == pytest.approx(sum(parts))
        for line in priced.lines:
            price = next(price for price in PRICES.prices.values() if price.unit == line.unit)
            assert line.usd == pytest.approx(line.quantity * price.usd)

    def test_fixed_costs_do_not_depend_on_the_quotes(self) -> None:
        always = bill(setup(100), Plan(hours="always"), PRICES)
        market = bill(setup(100), Plan(hours="market"), PRICES)
        assert total(always.lines, "fixed") == total(market.lines, "fixed")
        assert total(always.lines, "quotes") > total(market.lines, "quotes") * 4

    def test_the_naive_design_pays_for_each_quote_three_times(self) -> None:
        naive = {line.name: line for line in bill(setup(100), Plan(hours="always"), PRICES).naive}
        quotes = 100 * 3600 * 730
        assert {naive[name].quantity for name in ("Kinesis payload", "DynamoDB rows", "S3 requests")} == {quotes}
        assert naive["S3 requests"].usd == pytest.approx(1314)

    def test_provisioned_tables_are_billed_for_every_hour_for_what_polled_hours_need(self) -> None:
        lines = {line.name: line for line in bill(setup(100), HIGH_RATE, PRICES).lines}
        assert lines["DynamoDB rows"].quantity == math.ceil(100 / 0.7) * 730
        assert lines["DynamoDB bars"].quantity == LEAST_WRITE_CAPACITY * 730

    @pytest.mark.parametrize(("symbols", "days"), [(24, 365), (100, 365), (10_000, 365), (10_000, 30)])
    def test_bars_cost_less_in_the_class_for_infrequent_access(self, symbols: int, days: int) -> None:
        standard = {
            name: PRICES.prices[name.replace("_ia_", "_")] for name in PRICES.prices if name.startswith("dynamodb_ia_")
        }
        everywhere = msgspec.structs.replace(PRICES, prices=PRICES.prices | standard)
        plan = msgspec.structs.replace(HIGH_RATE, bar_days=days)
        chosen = setup(symbols, resolution="minute", window_seconds=5, batch_size=200)
        assert bill(chosen, plan, PRICES).usd < bill(chosen, plan, everywhere).usd

    def test_large_archive_objects_move_to_colder_storage_and_small_ones_do_not(self) -> None:
        small, big = (cold(bill(setup(symbols, window_seconds=5), HIGH_RATE, PRICES)) for symbols in (100, 10_000))
        assert small == 0
        assert big > 0

    def test_an_on_demand_stream_is_billed_by_the_gigabyte(self) -> None:
        priced = bill(setup(100), Plan(hours="always", stream="on-demand"), PRICES)
        names = {line.name for line in priced.lines}
        assert {"Kinesis stream", "Kinesis in", "Kinesis out"} <= names
        assert not {"Kinesis shards", "Kinesis payload"} & names

    def test_the_bill_says_when_one_batch_at_a_time_is_too_slow(self) -> None:
        assert bill(setup(100), Plan(hours="always"), PRICES).parallelization == 1
        assert bill(setup(10_000, window_seconds=5), HIGH_RATE, PRICES).parallelization > 1

    def test_a_query_reads_every_object_of_its_days(self) -> None:
        plan = Plan(hours="always", archive_days=1000, recent_queries=2, archive_queries=3, history=False)
        small = setup(24, interval_seconds=10)
        priced = {line.name: line.quantity for line in bill(small, plan, PRICES).lines}
        a_day = usage_of_month(small, "always").archive_puts / (365 / 12)
        days = 2 * 7 * 365 / 12 + 3 * 1000
        assert priced["Queries: reads of S3"] == pytest.approx(a_day * days)
        assert priced["Queries: listings of S3"] == pytest.approx(24 * days)
        without = bill(small, Plan(hours="always"), PRICES)
        assert sum(line.usd for line in without.lines if line.name.startswith("Queries")) == 0

    def test_with_a_history_queries_of_the_whole_archive_cost_a_tenth_of_the_requests(self) -> None:
        plan = Plan(hours="market", recent_queries=10, archive_queries=10)
        with_history, without = (
            bill(setup(100), msgspec.structs.replace(plan, history=kept), PRICES) for kept in (True, False)
        )

        def of_queries(priced: Bill) -> float:
            return sum(line.usd for line in priced.lines if line.name.startswith("Queries"))

        assert of_queries(with_history) < of_queries(without) / 10
        assert with_history.usd < without.usd
        assert total(without.lines, "history") == 0

    def test_a_history_of_more_quotes_needs_more_time_and_more_storage(self) -> None:
        few, many = (
            {line.name: line.quantity for line in bill(setup(symbols), Plan(hours="always"), PRICES).lines}
            for symbols in (100, 200)
        )
        for name in ("Tasks: CPU", "Compaction: storage of tables", "Backfill: reads of bars"):
            assert many[name] > 1.5 * few[name]
        assert many["Tasks: alarms"] == few["Tasks: alarms"]

    def test_a_key_costs_its_first_two_rotations_too(self) -> None:
        priced = {line.name: line for line in bill(setup(24), Plan(hours="always"), PRICES).lines}
        assert priced["Key of the operators' topic"].usd == pytest.approx(3)

    @pytest.mark.parametrize(("usd", "budget"), [(49, 70), (50.9, 70), (51, 75), (300, 415)])
    def test_a_bill_does_not_reach_the_notice_of_its_budget(self, usd: float, budget: int) -> None:
        assert budget_for(usd) == budget
        assert usd < 0.8 * budget

    def test_usage_is_priced(self) -> None:
        usage = usage_of_month(setup(100), "always")
        priced = {item.name: item for item in items(usage, PRICES)}
        assert priced["DynamoDB rows"].usd == pytest.approx(262.8 * 0.625)
        assert per_million(priced["DynamoDB rows"].usd, usage.quotes) == pytest.approx(0.625)
        assert per_million(1, 0) is None


def cold(priced: Bill) -> float:
    return next(line.quantity for line in priced.lines if line.name == "S3 colder storage")


class TestExpectedUsage:
    def test_a_longer_window_makes_fewer_batches_and_states_for_the_same_quotes(self) -> None:
        short, long = (usage_of_month(setup(100, window_seconds=seconds), "always") for seconds in (1, 5))
        assert long.quotes == short.quotes
        assert long.payload_units == short.payload_units
        assert long.archive_puts == pytest.approx(short.archive_puts / 3)
        assert long.state_writes < short.state_writes

    def test_a_batch_has_no_more_records_than_the_batch_size(self) -> None:
        usage = usage_of_month(setup(10_000, window_seconds=60, batch_size=50), "always")
        heartbeats = 32 * 60 * 730
        assert (usage.payload_units - heartbeats) / usage.invocations <= 50

    def test_a_batch_is_no_larger_than_a_payload(self) -> None:
        usage = usage_of_month(setup(10_000, window_seconds=60, batch_size=10_000), "always")
        assert 5e6 < usage.stream_bytes / usage.invocations * 4 / 3 < 6.3e6

    def test_with_a_row_a_minute_there_are_as_many_rows_as_bars(self) -> None:
        usage = usage_of_month(setup(100, resolution="minute"), "always")
        assert usage.row_writes == usage.bar_writes == 100 * 60 * 730

    def test_slow_polls_and_the_heartbeats_between_them_are_batches_of_their_own(self) -> None:
        usage = expected_usage(setup(10, interval_seconds=30), polls=120, minutes=60)
        assert 120 <= usage.invocations <= 180

    def test_in_a_closed_market_only_heartbeats_remain(self) -> None:
        usage = expected_usage(setup(100), polls=0, minutes=0, idle_minutes=60)
        assert (usage.quotes, usage.invocations, usage.payload_units) == (0, 60, 240)
        assert usage.state_writes >= 240

    def test_there_are_as_many_lanes_and_shards_as_the_symbols_need(self) -> None:
        assert [lanes_for(symbols) for symbols in (1, 1280, 1281, 10_000)] == [4, 4, 5, 32]
        assert [shards_for(symbols, 1) for symbols in (100, 2_000, 10_000)] == [1, 1, 4]
        for sizes in (sizes_of(setup(symbols)) for symbols in (400, 10_000)):
            assert MAX_SYMBOLS_PER_LANE * (sizes.state + sizes.pending_bar + sizes.checkpoint) < 400_000


def test_an_item_has_the_size_that_dynamodb_documents() -> None:
    assert item_size({"symbol": {"S": "AAPL"}}) == 10
    assert item_size({"né": {"S": "é"}}) == 5
    numbers = {"0": 1, "7": 2, "12.5": 3, "-12.5": 4, "1000": 2, "123456.78901234": 8}
    assert {text: item_size({"n": {"N": text}}) - 1 for text in numbers} == numbers
    assert item_size({"b": {"B": "aGVsbG8="}}) == 1 + 5
    assert item_size({"m": {"M": {"a": {"BOOL": True}, "l": {"L": [{"N": "1"}]}}}, "s": {"SS": ["ab", "c"]}}) == 19
    assert [decoded_size(text) for text in ("", "aGk=", "aGVsbG8h", "YQ==")] == [0, 2, 6, 1]


class TestPriceTable:
    def test_every_price_is_positive_and_has_its_own_unit_and_a_source(self) -> None:
        assert PRICES.region == "us-east-1"
        assert PRICES.read >= date(2026, 11, 25)
        units = [price.unit for price in PRICES.prices.values()]
        assert len(set(units)) == len(units)
        assert [name for name, price in PRICES.prices.items() if price.usd <= 0 or not price.source] == []

    def test_a_price_table_with_a_mistake_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "prices.toml"
        path.write_text('region = "x"\nread = 2026-11-25\n[a]\nusd = 1\nunit = "u"\nmark = "X"\nsource = "s"\n')
        with pytest.raises(msgspec.ValidationError, match="mark"):
            prices.read(path)


class TestCommand:
    def run(self, *arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, [*arguments])
        assert result.exit_code == code, result.output
        return result.output

    def test_shows_every_line_and_both_totals(self) -> None:
        output = self.run("--symbols", "100", "--interval", "1", "--hours", "market")
        for part in ("50.4 million quotes", "Kinesis shards", "DynamoDB rows", "per quote", "naive total"):
            assert part in output

    def test_prints_json_that_adds_up(self) -> None:
        document = json.loads(self.run("--json", "--resolution", "minute", "--window", "5", "--tables", "provisioned"))
        assert sum(line["usd"] for line in document["lines"]) == pytest.approx(document["usd"])
        assert document["usd_per_million_quotes"] == pytest.approx(document["usd"] / document["quotes"] * 1e6)
        assert document["setup"]["resolution"] == "minute"

    def test_refuses_lanes_that_cannot_hold_the_symbols(self) -> None:
        assert "Use 32 lanes" in self.run("--symbols", "10000", "--lanes", "4", code=2)
