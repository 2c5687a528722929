"""yfinance's class for the messages of Yahoo's stream has the fields and types that the source reads."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import FieldDescriptor
from yfinance.pricing_pb2 import PricingData

from tests.fakes.yahoo.pricing_data import FIELD_NUMBERS, encode

TYPES = {
    "string": FieldDescriptor.TYPE_STRING,
    "float": FieldDescriptor.TYPE_FLOAT,
    "double": FieldDescriptor.TYPE_DOUBLE,
    "int": FieldDescriptor.TYPE_INT32,
    "zigzag": FieldDescriptor.TYPE_SINT64,
}


@pytest.mark.parametrize("name", FIELD_NUMBERS)
def test_a_field_has_the_number_and_the_type_that_our_encoder_writes(name: str) -> None:
    number, kind = FIELD_NUMBERS[name]
    field = PricingData.DESCRIPTOR.fields_by_name[name]

    assert (field.number, field.type) == (number, TYPES[kind])


def test_large_integers_are_integers() -> None:
    data = PricingData.FromString(encode({"id": "AAPL", "time": 1_795_444_200_345, "day_volume": 5_000_000_000}))

    assert (data.id, data.time, data.day_volume) == ("AAPL", 1_795_444_200_345, 5_000_000_000)
    assert data.market_hours == 0, "a field that is absent is 0"
