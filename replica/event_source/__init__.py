"""Lambda's Kinesis event source, run on this machine: the delivery semantics that no emulator has.

Reads the properties of a deployed event source mapping and invokes the deployed function as Lambda would: batch size,
window and payload limit, `ReportBatchItemFailures`, bisection, retry limit, record age, parallelization per partition
key, on-failure destination. `aws.connect` wires it to boto3.

What AWS does not document, and this assumes: the quota of retries counts the same records sent again; a batch that is
reported from its first record on is bisected like a failed one; each discarded batch is an invocation record of its own
(Lambda may consolidate them). Not modelled: records that expire in the stream while they are retried, filters, tumbling
windows, enhanced fan-out.
"""

from replica.event_source.delivery import Condition, Discarded
from replica.event_source.destination import Destination, DestinationUnavailable, FakeDestination
from replica.event_source.function import FakeFunction, Function, Invocation, NotInvoked
from replica.event_source.invoker import Clock, InvocationReport
from replica.event_source.mapping import EventSourceMapping, UnsupportedMapping
from replica.event_source.records import Record
from replica.event_source.runner import EventSourceRunner, RunnerFailed, full_jitter
from replica.event_source.shards import IteratorExpired, Page, Position, Shard, StreamReader, StreamUnavailable
from tests.fakes.event_stream import FakeStream

__all__ = [
    "Clock",
    "Condition",
    "Destination",
    "DestinationUnavailable",
    "Discarded",
    "EventSourceMapping",
    "EventSourceRunner",
    "FakeDestination",
    "FakeFunction",
    "FakeStream",
    "Function",
    "Invocation",
    "InvocationReport",
    "IteratorExpired",
    "NotInvoked",
    "Page",
    "Position",
    "Record",
    "RunnerFailed",
    "Shard",
    "StreamReader",
    "StreamUnavailable",
    "UnsupportedMapping",
    "full_jitter",
]
