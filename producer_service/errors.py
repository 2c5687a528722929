"""The errors of the producer, by what the caller should do."""

import errno


class ProducerError(Exception):
    """The base of all errors of the producer."""


def described(error: BaseException) -> str:
    """An error in one line. The producer's own errors speak for themselves; others need their type."""
    return str(error) if isinstance(error, ProducerError) else f"{type(error).__name__}: {error}"


def may_pass(error: OSError) -> bool:
    """Whether an error is one of the machine, such as a full disk. No setting is wrong, so another start may help."""
    return error.errno in _PASSING


_PASSING = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN])


class ConfigurationError(ProducerError):
    """The configuration is wrong, and nothing was started. Each mistake is one line for the user."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class JournalError(ProducerError):
    """The journal cannot be used as it is. It was not changed. The message says why and what to do."""


class JournalUnavailable(JournalError):
    """The journal cannot be used now: its disk is full or fails, or another process uses it. Try again later."""


class JournalDamaged(JournalError):
    """The file of the journal is damaged. Only a new start helps: it sets the file aside and makes a new one."""


class HandoverUnavailable(ProducerError):
    """The handover store could not be read or written. Try again later."""


class CalendarUnavailable(ProducerError):
    """A calendar cannot be computed. Count the exchange as open."""


class CalendarsUnavailable(ProducerError):
    """The table of calendars could not be written. Try again later."""


class UnusableState(ProducerError):
    """An undelivered state is damaged or inconsistent. No producer can use it, so set it aside."""


class ForeignState(ProducerError):
    """An undelivered state is for a producer with another number of lanes, or of another version. Leave it."""


class WatchlistUnavailable(ProducerError):
    """The watchlist cannot be read now. Go on with the groups that there are, and try again later."""


class CredentialsUnavailable(ProducerError):
    """There are no AWS credentials now. They are looked for again, so try again later."""


class StreamUnreachable(ProducerError):
    """Kinesis did not answer for the stream."""
