"""What importing a module of the producer loads, in a fresh interpreter: values do not live in adapters."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("boto3", "botocore", "curl_cffi", "exchange_calendars", "pandas", "yfinance")


def loaded_by(module: str) -> set[str]:
    """The heavy libraries that an import of a module loads."""
    program = f"import json, sys, {module}; print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "module", ["outbox", "metrics", "sender", "intake", "polling", "listener", "status", "settings"]
)
def test_no_adapter_is_loaded_with_the_core(module: str) -> None:
    assert loaded_by(f"producer_service.{module}") == set()


def test_the_composition_root_loads_boto3_and_no_source() -> None:
    assert loaded_by("producer_service.wiring") == {"boto3", "botocore"}
