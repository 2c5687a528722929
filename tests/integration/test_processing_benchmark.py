"""The requests and the memory that the processing benchmark measures. They do not depend on the load of the machine."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from benchmarks.events import events, market
from benchmarks.functions import Figures
from benchmarks.sink import running


@pytest.fixture(scope="module")
def environment() -> Iterator[Mapping[str, str]]:
    with running() as environment:
        yield environment


def figures(
    function: str, batch: int, directory: Path, environment: Mapping[str, str], *, batches: int | None = None
) -> Figures:
    """The results of one of the functions for the first batches of two minutes of the market, by default for all."""
    path = directory / "events.jsonl"
    with path.open("wb") as file:
        file.writelines(event + b"\n" for event in islice(events(market(2), batch), batches))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.functions", function, str(path)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Figures)


@pytest.mark.parametrize(("batch", "most"), [(1_000, 70), (10_000, 45)])
def test_a_thousand_quotes_need_few_requests(
    batch: int, most: int, tmp_path: Path, environment: Mapping[str, str]
) -> None:
    found = figures("stockstream", batch, tmp_path, environment)
    assert found.quotes == 30_000
    assert found.calls["BatchWriteItem quotes"] == 30_000 / 25
    assert found.calls["BatchWriteItem bars"] >= 500 / 25  # the bars of the minute were closed
    assert sum(found.calls.values()) * 1_000 / found.quotes <= most


def test_ten_thousand_quotes_in_one_batch_take_less_than_256_megabytes(
    tmp_path: Path, environment: Mapping[str, str]
) -> None:
    assert 20 < figures("fresh", 10_000, tmp_path, environment, batches=1).memory_megabytes < 256


def test_the_baseline_makes_two_requests_for_each_quote(tmp_path: Path, environment: Mapping[str, str]) -> None:
    found = figures("per_record", 1_000, tmp_path, environment, batches=1)
    assert found.quotes > 0
    assert found.calls == {"PutItem quotes": found.quotes, "PutObject": found.quotes}
