"""What can go wrong in a command, by what its user should do."""


class OperationsError(Exception):
    """The base of all errors of the commands."""


class WrongUsage(OperationsError):
    """What was asked names something that is not there, or the environment leads to no AWS: ask otherwise."""


class Unavailable(OperationsError):
    """AWS did not do what was asked. What the command was about is still where it was: run it again."""


class NotThere(Unavailable):
    """What something points to, or what was named, is not there, or not now."""


class Unreadable(OperationsError):
    """Something that was found is not what belongs there. It stays where it is."""
