"""The bytes of a lane's state: msgpack, compressed, with a version. Pure."""

from __future__ import annotations

import zlib

import msgspec
from msgspec.structs import replace

from lane_state.model import START, Alert, LaneState, Position

WRITES = 1
"""The version that `pack` writes."""
READS = 1
"""The latest version that `unpack` reads. It reads all earlier ones too.

A new version takes two releases, so that each release can be rolled back to the one before it. The first release raises
READS and still writes the old version. The second one raises WRITES. The deployer reads both numbers in the zip.
"""

_COMPRESSION_LEVEL = 4
"""zlib's level. Level 6 saves 1 % of the size for twice the time, a tenth of a quote's CPU in small batches."""


class _Envelope(msgspec.Struct, frozen=True):
    version: int
    state: msgspec.Raw
    last_sequence: str  # a string, because a sequence number is too long for an integer of msgpack


_STATE_ENCODER = msgspec.msgpack.Encoder()
_ENVELOPE_DECODER = msgspec.msgpack.Decoder(_Envelope)
_STATE_DECODER = msgspec.msgpack.Decoder(LaneState)
_ALERT_ENCODER = msgspec.json.Encoder(decimal_format="number")


def pack(state: LaneState) -> bytes:
    """Encode a state. It takes under 660 bytes a symbol with all indicators (640 in a full lane), 1 KiB for one alone.

    What one commit publishes is bounded (`processor_lambda.fold.MAX_PUBLICATIONS`), so a state of the largest allowed
    lane stays below DynamoDB's item size limit.
    """
    body = _STATE_ENCODER.encode(replace(state, position=START))
    envelope = _Envelope(WRITES, msgspec.Raw(body), str(state.position))
    return zlib.compress(_STATE_ENCODER.encode(envelope), _COMPRESSION_LEVEL)


def unpack(packed: bytes) -> LaneState:
    """Decode a state that `pack` wrote. Raises ValueError if a newer version of this package wrote it."""
    envelope = _ENVELOPE_DECODER.decode(zlib.decompress(packed))
    if envelope.version > READS:
        msg = f"the state has version {envelope.version}, but this program reads up to {READS}: deploy the newer one"
        raise ValueError(msg)
    return replace(_STATE_DECODER.decode(envelope.state), position=Position.parse(envelope.last_sequence))


def move(packed: bytes, position: Position) -> bytes:
    """Give a packed state another position, and leave the rest as it is, whichever version wrote it."""
    envelope = _ENVELOPE_DECODER.decode(zlib.decompress(packed))
    moved = replace(envelope, last_sequence=str(position))
    return zlib.compress(_STATE_ENCODER.encode(moved), _COMPRESSION_LEVEL)


def encode_alert(alert: Alert) -> bytes:
    """Encode an alert as JSON, its values as numbers. Subscribers receive these bytes."""
    return _ALERT_ENCODER.encode(alert)
