"""What can go wrong in the replica. Each message is for the person who started it."""


class ReplicaError(Exception):
    """The replica cannot go on. The message says what happened and, where it is known, what helps."""


class EmulatorError(ReplicaError):
    """The emulator did not start. The message ends with the last lines of its log."""
