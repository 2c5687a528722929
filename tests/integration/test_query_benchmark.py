"""A day of bars costs at least five times less CPU than with boto3 and json, measured side by side in one run."""

from __future__ import annotations

import json
import subprocess
import sys


def test_a_day_of_bars_takes_a_fifth_of_the_cpu_of_boto3_and_json() -> None:
    command = [sys.executable, "-m", "benchmarks.query"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    ratios = {line["name"]: line["ratio"] for line in map(json.loads, done.stdout.splitlines())}
    assert ratios["cpu_of_a_day_of_bars"] >= 5
    assert ratios["import_beside_boto3_and_two_clients"] > 1
    assert "p99_of_the_latest_prices_of_500_symbols" in ratios
