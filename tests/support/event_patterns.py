"""Whether a rule of EventBridge matches an event, as the emulator's EventBridge decides."""

from __future__ import annotations

import json
from typing import Any

from ministack.services import eventbridge


def matches(pattern: dict[str, Any], detail: dict[str, Any]) -> bool:
    """Whether a pattern matches an event of its first source and type with this detail."""
    event = {"source": pattern["source"][0], "detail-type": pattern["detail-type"][0], "detail": detail}
    request = {"Event": json.dumps(event), "EventPattern": json.dumps(pattern)}
    status, _, body = eventbridge._test_event_pattern(request)
    assert status == 200, body
    return bool(json.loads(body)["Result"])
