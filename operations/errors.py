"""The errors of the commands. The class says what the user can do about it."""


class OperationsError(Exception):
    """The base of all errors of the commands."""


class WrongUsage(OperationsError):
    """The command names something that does not exist, or the environment does not lead to AWS. Change the command."""


class Unavailable(OperationsError):
    """AWS did not do what the command asked for. Nothing is lost: run the command again."""


class NotFound(Unavailable):
    """An object or a message does not exist, or cannot be seen at the moment."""


class Unreadable(OperationsError):
    """An object or a message is not in the expected format. It stays where it is."""
