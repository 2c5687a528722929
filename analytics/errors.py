"""The errors of SQL over the archive. Each message is for the person who runs the query."""


class AnalyticsError(Exception):
    """The base of all errors of this package. The message says what is wrong and, if it is known, what to do."""
