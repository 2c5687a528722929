"""Lambda's Kinesis event source on this machine, with the delivery semantics that no emulator has.

It reads the properties of a deployed event source mapping and invokes the deployed function as Lambda does: with batch
size, batching window, payload limit, `ReportBatchItemFailures`, bisection, retry limit, maximum record age,
parallelization per partition key, and an on-failure destination. It polls the shards of the stream (`polling`), or
subscribes to them as a registered consumer (`fan_out`), as the mapping's EventSourceArn says. `aws.connect` wires it to
boto3.

Where AWS's documentation is silent, this package assumes:

- The retry quota counts how often the same records are sent again.
- A batch that is reported as failed from its first record on is bisected like a batch that failed as a whole.
- Each discarded batch makes an invocation record of its own, although Lambda may consolidate them.
- The records of an event name the consumer as their source, if the mapping does (`records`).
- Lambda subscribes again at once when a subscription expires, and after a pause when it breaks.

It does not support filters and tumbling windows, nor records that expire in the stream during their retries, nor the
limit of 2 MB a second for each consumer and shard.
"""

from replica.event_source.delivery import Condition, Discarded
from replica.event_source.destination import Destination, DestinationUnavailable
from replica.event_source.function import Function, Invocation, NotInvoked
from replica.event_source.invoker import Clock, InvocationReport
from replica.event_source.mapping import EventSourceMapping, UnsupportedMapping
from replica.event_source.records import Record
from replica.event_source.runner import EventSourceRunner, RunnerFailed, full_jitter
from replica.event_source.shards import (
    IteratorExpired,
    Page,
    Position,
    PushedEvent,
    Shard,
    ShardGone,
    StreamReader,
    StreamUnavailable,
    Subscription,
)

__all__ = [
    "Clock",
    "Condition",
    "Destination",
    "DestinationUnavailable",
    "Discarded",
    "EventSourceMapping",
    "EventSourceRunner",
    "Function",
    "Invocation",
    "InvocationReport",
    "IteratorExpired",
    "NotInvoked",
    "Page",
    "Position",
    "PushedEvent",
    "Record",
    "RunnerFailed",
    "Shard",
    "ShardGone",
    "StreamReader",
    "StreamUnavailable",
    "Subscription",
    "UnsupportedMapping",
    "full_jitter",
]
