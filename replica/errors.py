"""What can go wrong in the replica. Each message is for the person who started it."""


class ReplicaError(Exception):
    """The replica cannot go on; its message says what happened and, where it is known, what helps."""


class PackageError(ReplicaError):
    """The Lambda zip could not be built."""


class EmulatorError(ReplicaError):
    """The emulator did not start; the message ends with its last lines."""


class DeploymentError(ReplicaError):
    """A stack is not as its template asks; the message names each resource that failed, and why."""


class ImageError(ReplicaError):
    """The producer's image could not be built, or not be pushed."""
