"""What can go wrong in the processor, by what the caller should do."""


class ProcessorError(Exception):
    """The base of all errors of the processor."""


class SettingsError(ProcessorError):
    """The function's environment is incomplete or wrong: deploy it again with what the message asks for."""


class Unavailable(ProcessorError):
    """AWS did not do what was asked, or did only a part, and may the next time: fail the batch, it comes again."""


class LostRace(ProcessorError):
    """Another invocation has committed this lane since it was read: read it again."""


class NeverTaken(ProcessorError):
    """DynamoDB will not take this, however often it comes: let Lambda bisect the batch and keep what it cannot take."""
