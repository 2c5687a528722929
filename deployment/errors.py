"""The errors of a deployment. Each message is for the person who started it."""


class DeploymentError(Exception):
    """A stack is not as its template asks. The message names each resource that failed, and why."""


class RolledBack(DeploymentError):
    """CloudFormation went back to the release before, because an alarm fired or because the update failed."""

    def __init__(self, message: str, release: str) -> None:
        super().__init__(message)
        self.release = release
        """The release that was rolled back."""


class PackageError(DeploymentError):
    """The zip of a function could not be built."""


class ImageError(DeploymentError):
    """The producer's image could not be built or pushed."""


class ParameterError(DeploymentError):
    """What the user asks for is wrong. The message has one line for each mistake. Nothing was deployed."""
