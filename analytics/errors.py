"""What can go wrong with SQL over the archive. Each message is for the person who asked."""


class AnalyticsError(Exception):
    """The base of all errors of this package. The message says what is wrong and, where it is known, what helps."""
