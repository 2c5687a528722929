from datetime import timedelta

import pytest

from quotes import Quote
from tests.fakes.archived_market import MONDAY, quotes_of
from tests.fakes.filled_quarantine import FilledQuarantine


@pytest.fixture
def quarantine() -> FilledQuarantine:
    return FilledQuarantine()


@pytest.fixture
def day() -> list[Quote]:
    """An hour and a half of two symbols."""
    start = MONDAY + timedelta(hours=14, minutes=30)
    return quotes_of("AAPL", start, 90) + quotes_of("MSFT", start, 90)
