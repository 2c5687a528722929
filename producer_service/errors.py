"""What can go wrong in the producer, by what its user should do."""


class ProducerError(Exception):
    """The base of all errors of the producer."""


class ConfigurationError(ProducerError):
    """The environment is wrong: one mistake a line. Nothing was started."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class JournalError(ProducerError):
    """The journal cannot be used as it is: the message says why and what to do. It was left untouched."""


class HandoverUnavailable(ProducerError):
    """What producers leave for one another could not be read or written now: it is tried again."""


class StreamUnreachable(ProducerError):
    """Kinesis did not answer for the stream."""
