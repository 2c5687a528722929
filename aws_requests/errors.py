"""What can go wrong with a request to AWS, by what the caller should do."""


class RequestError(Exception):
    """The base of all errors of this package."""


class WrongEnvironment(RequestError):
    """The environment names no region, or an endpoint that is none. Deploy again with what the message asks for."""


class Unavailable(RequestError):
    """AWS did not do what was asked, or did only a part of it, and may do it next time. Try again later."""


class Refused(Unavailable):
    """AWS refused the request, and another attempt would not change that. `code` is AWS's error code."""

    def __init__(self, request: str, code: str, message: str) -> None:
        super().__init__(f"{request}: {code}: {message}" if message else f"{request}: {code}")
        self.code = code
