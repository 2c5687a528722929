"""The container that deploys opens the query function on this machine, once."""

from __future__ import annotations

from typing import Any

from docker.deployer import open_to_all

URL = "http://abc.lambda-url.us-east-1.localhost.localstack.cloud:4566/"


class Functions:
    """Lambda's URLs of functions: each alias has at most one."""

    class exceptions:  # noqa: N801  (boto3's name)
        class ResourceConflictException(Exception):
            pass

    def __init__(self) -> None:
        self.urls: dict[tuple[str, str], str] = {}

    def create_function_url_config(self, **place: Any) -> dict[str, str]:
        assert place.pop("AuthType") == "NONE"
        if tuple(place.values()) in self.urls:
            raise self.exceptions.ResourceConflictException
        self.urls[place["FunctionName"], place["Qualifier"]] = URL
        return {"FunctionUrl": URL}

    def get_function_url_config(self, **place: Any) -> dict[str, str]:
        return {"FunctionUrl": self.urls[place["FunctionName"], place["Qualifier"]]}


def test_a_second_deployment_finds_the_url_of_the_first() -> None:
    functions = Functions()
    assert open_to_all(functions, "query") == URL
    assert open_to_all(functions, "query") == URL
    assert list(functions.urls) == [("query", "live")]
