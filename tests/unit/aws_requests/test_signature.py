"""Our signatures equal those of botocore's signer, which AWS wrote."""

import string
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from aws_requests.signature import Keys, Scope, signed
from tests.support.sizes import sized

SIGNERS = {"dynamodb": SigV4Auth, "sns": SigV4Auth, "sqs": SigV4Auth, "s3": S3SigV4Auth}

words = st.text(string.ascii_letters + string.digits + "/+=", min_size=1, max_size=40)
any_keys = st.builds(Keys, words, words, st.none() | words)
hosts = st.from_regex(r"[a-z][a-z0-9.-]{0,30}[a-z0-9](:[1-9][0-9]{1,3})?", fullmatch=True).filter(
    lambda host: not host.endswith((":80", ":443"))
)
any_headers = st.dictionaries(
    st.from_regex(r"(content|x-amz)-[a-z]{1,12}", fullmatch=True).filter(
        lambda name: name not in ("x-amz-date", "x-amz-token")
    ),
    st.from_regex(r"[!-~]{1,20}", fullmatch=True),
    max_size=4,
)

queries = st.dictionaries(st.sampled_from(["max-keys", "prefix", "versionId", "versions"]), words | st.just(""))


@settings(max_examples=sized(20, 100), deadline=None)
@given(st.data())
def test_a_signature_is_the_one_that_botocore_makes(data: st.DataObject) -> None:
    service, keys, host = data.draw(st.sampled_from(sorted(SIGNERS))), data.draw(any_keys), data.draw(hosts)
    headers, body, segment = data.draw(any_headers), data.draw(st.binary(max_size=200)), data.draw(words)
    method, path = ("PUT", f"/{segment.strip('/').replace('+', '%2B')}") if service == "s3" else ("POST", "/")
    if service == "s3" and (query := data.draw(queries)):
        path += "?" + urlencode(sorted(query.items()), quote_via=quote, safe="")
    request = AWSRequest(method=method, url=f"http://{host}{path}", data=body, headers=headers)
    credentials = Credentials(keys.access_key, keys.secret_key, keys.token)
    SIGNERS[service](credentials, service, "eu-west-1").add_auth(request)

    now = datetime.strptime(request.context["timestamp"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    ours = signed(method, path, headers | {"host": host}, body, scope=Scope("eu-west-1", service), keys=keys, now=now)
    assert ours["authorization"] == request.headers["Authorization"]
    assert ours["x-amz-date"] == request.headers["X-Amz-Date"]
    assert ours.get("x-amz-security-token") == request.headers.get("X-Amz-Security-Token")
    if service == "s3":
        assert ours["x-amz-content-sha256"] == request.headers["X-Amz-Content-SHA256"]
