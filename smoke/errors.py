"""The errors of a smoke test. Each fails the step that meets it."""


class SmokeError(Exception):
    """Something did not do what a step asked for."""


class CommandFailed(SmokeError):
    """A command of stockstream failed, or did not end in time."""


class QueryFailed(SmokeError):
    """Athena did not answer a query."""
