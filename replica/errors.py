"""The errors of the replica. Each message is for the person who started it."""


class ReplicaError(Exception):
    """The replica cannot continue. The message says what happened and, if known, what to do."""


class EmulatorError(ReplicaError):
    """The emulator did not start. The message ends with the last lines of its log."""
