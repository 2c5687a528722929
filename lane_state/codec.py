"""The bytes of a lane's state and of its checkpoint: msgpack, compressed, with a version. Pure.

A state has one of two versions:

1. holds the indicators of each symbol. A state without a log is written in it.
2. holds the log, and the indicators are in the checkpoint.
"""

from __future__ import annotations

import zlib

import msgspec
from msgspec.structs import replace

from lane_state.model import START, Alert, Checkpoint, LaneState, Position

WRITES = 2
"""The latest version that `pack` writes. `processor_lambda.settings.Settings.state_version` may limit it to 1."""
READS = 2
"""The latest version that `unpack` reads. It reads all earlier ones too.

A new version takes two releases, so that each release can be rolled back to the one before it. The first release raises
READS and still writes the old version. The second one raises WRITES. The deployer reads both numbers in the zip.
"""

_COMPRESSION_LEVEL = 4
"""zlib's level. Level 6 saves 1 % of the size for up to three times the time."""


class _Envelope(msgspec.Struct, frozen=True):
    version: int
    state: msgspec.Raw
    last_sequence: str  # a string, because a sequence number is too long for an integer of msgpack


class _CheckpointEnvelope(msgspec.Struct, frozen=True):
    version: int
    checkpoint: msgspec.Raw


_ENCODER = msgspec.msgpack.Encoder()
_ENVELOPE_DECODER = msgspec.msgpack.Decoder(_Envelope)
_STATE_DECODER = msgspec.msgpack.Decoder(LaneState)
_CHECKPOINT_ENVELOPE_DECODER = msgspec.msgpack.Decoder(_CheckpointEnvelope)
_CHECKPOINT_DECODER = msgspec.msgpack.Decoder(Checkpoint)
_ALERT_ENCODER = msgspec.json.Encoder(decimal_format="number")


def version_of(state: LaneState) -> int:
    """The version of the bytes of a state."""
    return 1 if state.log is None else 2


def pack(state: LaneState) -> bytes:
    """Encode a state.

    In version 1 it takes under 670 bytes a symbol with all indicators (640 in a full lane), 1,100 for one alone. What
    one commit publishes is bounded (`processor_lambda.fold.MAX_PUBLICATIONS`), so a state of the largest allowed lane
    stays below DynamoDB's item size limit. In version 2 it takes under 200 bytes a symbol, and 20 for each log entry.
    The counts of a week take under 100 bytes of a lane.
    """
    version = version_of(state)
    body = _with_indicators_in_symbols(state) if version == 1 else replace(state, position=START, indicators={})
    envelope = _Envelope(version, msgspec.Raw(_ENCODER.encode(body)), str(state.position))
    return zlib.compress(_ENCODER.encode(envelope), _COMPRESSION_LEVEL)


def unpack(packed: bytes) -> LaneState:
    """Decode a state that `pack` wrote. In version 2 it has no indicators: `processor_lambda.checkpoints` adds them.

    Raises ValueError if a newer version of this package wrote it.
    """
    envelope = _ENVELOPE_DECODER.decode(zlib.decompress(packed))
    _check(envelope.version, "state")
    state = replace(_STATE_DECODER.decode(envelope.state), position=Position.parse(envelope.last_sequence))
    return _with_indicators_apart(state) if envelope.version == 1 else state


def pack_checkpoint(checkpoint: Checkpoint) -> bytes:
    """Encode a checkpoint. It takes 230 to 440 bytes a symbol with all indicators, by the decimal places of its prices.

    The floats are compressed as they are. Prices as integers would take half the size, for four times the CPU.
    """
    envelope = _CheckpointEnvelope(WRITES, msgspec.Raw(_ENCODER.encode(checkpoint)))
    return zlib.compress(_ENCODER.encode(envelope), _COMPRESSION_LEVEL)


def unpack_checkpoint(packed: bytes) -> Checkpoint | None:
    """Decode what `pack_checkpoint` wrote. None if the bytes are damaged.

    Raises ValueError if a newer version of this package wrote it.
    """
    try:
        envelope = _CHECKPOINT_ENVELOPE_DECODER.decode(zlib.decompress(packed))
        _check(envelope.version, "checkpoint")
        return _CHECKPOINT_DECODER.decode(envelope.checkpoint)
    except (zlib.error, msgspec.DecodeError):
        return None


def move(packed: bytes, position: Position) -> bytes:
    """Give a packed state another position, and leave the rest as it is, whichever version wrote it."""
    envelope = _ENVELOPE_DECODER.decode(zlib.decompress(packed))
    moved = replace(envelope, last_sequence=str(position))
    return zlib.compress(_ENCODER.encode(moved), _COMPRESSION_LEVEL)


def encode_alert(alert: Alert) -> bytes:
    """Encode an alert as JSON, its values as numbers. Subscribers receive these bytes."""
    return _ALERT_ENCODER.encode(alert)


def _check(version: int, name: str) -> None:
    if version > READS:
        msg = f"the {name} has version {version}, but this program reads up to {READS}: deploy the newer one"
        raise ValueError(msg)


def _with_indicators_in_symbols(state: LaneState) -> LaneState:
    symbols = {
        name: replace(symbol, indicators=state.indicators.get(name, b"")) for name, symbol in state.symbols.items()
    }
    return replace(state, position=START, symbols=symbols, indicators={}, checkpoint=0)


def _with_indicators_apart(state: LaneState) -> LaneState:
    indicators = {name: symbol.indicators for name, symbol in state.symbols.items() if symbol.indicators}
    symbols = {name: replace(symbol, indicators=b"") for name, symbol in state.symbols.items()}
    return replace(state, symbols=symbols, indicators=indicators)
