"""What the replica corrects in MiniStack's SubscribeToShard."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from replica.emulator_push import EVENT_BYTES, corrected, millis_behind, one_event


def _record(number: int, size: int = 1, arrived_at: float = 0.0) -> dict[str, Any]:
    return {"SequenceNumber": f"{number:03}", "Data": "x" * size, "ApproximateArrivalTimestamp": arrived_at}


def _source() -> str:
    package = importlib.util.find_spec("ministack")
    assert package is not None
    assert package.origin is not None
    module = (Path(package.origin).parent / "services" / "kinesis.py").read_text(encoding="utf-8")
    functions = [node for node in ast.parse(module).body if isinstance(node, ast.FunctionDef)]
    (function,) = (node for node in functions if node.name == "_subscribe_to_shard")
    return ast.get_source_segment(module, function) or ""


def test_the_pinned_ministack_has_every_line_that_is_replaced() -> None:
    source = corrected(_source())

    compile(source, "kinesis", "exec")
    assert "_one_event(" in source
    assert "_millis_behind(" in source
    assert "timeout=0.2" not in source


def test_another_ministack_is_refused_with_the_line_that_it_lacks() -> None:
    with pytest.raises(RuntimeError, match=r"another SubscribeToShard, without this text:\n *batch = "):
        corrected("def _subscribe_to_shard(): ...")


def test_an_event_holds_a_bounded_number_of_bytes_and_at_least_one_record() -> None:
    half, huge = [_record(number, EVENT_BYTES // 2) for number in range(3)], _record(9, 2 * EVENT_BYTES)

    assert one_event(half) == half[:2]
    assert one_event([huge, *half]) == [huge]
    assert one_event([]) == []


def test_an_event_is_behind_while_records_are_left() -> None:
    records = [_record(number, arrived_at=1.0) for number in (1, 2)]

    assert millis_behind(records, None) > 1000
    assert millis_behind(records, "001") > 1000
    assert millis_behind(records, "002") == 0
