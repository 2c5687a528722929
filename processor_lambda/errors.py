"""What can go wrong in the processor, by what the caller should do.

If AWS did not do all of what was asked, the adapters raise `aws_requests.Unavailable`. Then the batch fails, and Lambda
delivers it again.
"""


class ProcessorError(Exception):
    """The base of the processor's own errors."""


class SettingsError(ProcessorError):
    """The function's environment or its rules are wrong. Deploy again with what the message asks for."""


class CommitConflict(ProcessorError):
    """Somebody else committed this lane, or stored its checkpoint, after it was read. Read it again."""


class PermanentFailure(ProcessorError):
    """DynamoDB will never accept this item. Let Lambda bisect the batch and keep the record."""
