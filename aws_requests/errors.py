"""What can go wrong with a request to AWS, by what the caller should do."""


class RequestError(Exception):
    """The base of all errors of this package."""


class WrongEnvironment(RequestError):
    """The environment has no region, or an endpoint that cannot be used. Deploy again as the message says."""


class Unavailable(RequestError):
    """AWS did not do all of what was asked, and may do it next time. Try again later."""


class Refused(Unavailable):
    """AWS refused the request, and sending the same request again would not help. `code` is AWS's error code."""

    def __init__(self, request: str, code: str, message: str) -> None:
        super().__init__(f"{request}: {code}: {message}" if message else f"{request}: {code}")
        self.code = code
