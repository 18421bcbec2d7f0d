"""Signatures, against the vectors that Amazon publishes and against botocore as an oracle."""

from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from tollway.contract.snapshot import AwsCredentials
from tollway.proxy.providers.bedrock.provider import address
from tollway.proxy.providers.bedrock.sigv4 import canonical_path, sign

AT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()
KEYS = AwsCredentials("us-east-1", "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx"
    "7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d"
    "+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
VANILLA = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

VECTORS = {
    "get-vanilla": ("GET", "/", [], VANILLA),
    "get-relative-normalized": ("GET", "/example/..", [], VANILLA),
    "get-relative-relative-normalized": ("GET", "/example1/example2/../..", [], VANILLA),
    "get-slash-normalized": ("GET", "//", [], VANILLA),
    "get-slash-dot-slash-normalized": ("GET", "/./", [], VANILLA),
    "get-slash-pointless-dot-normalized": (
        "GET",
        "/./example",
        [],
        "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5",
    ),
    "get-slashes-normalized": (
        "GET",
        "//example//",
        [],
        "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
    ),
    "get-space": ("GET", "/example space/", [], "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"),
    "get-utf8": ("GET", "/\u1234", [], "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    "get-unreserved": (
        "GET",
        f"/{UNRESERVED}",
        [],
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    ),
    "get-vanilla-empty-query-key": (
        "GET",
        "/?Param1=value1",
        [],
        "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
    ),
    "get-vanilla-query-order-key-case": (
        "GET",
        "/?Param2=value2&Param1=value1",
        [],
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    "get-header-key-duplicate": (
        "GET",
        "/",
        [("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")],
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    ),
    "get-header-value-order": (
        "GET",
        "/",
        [("My-Header1", f"value{number}") for number in (4, 1, 3, 2)],
        "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
    ),
    "get-header-value-trim": (
        "GET",
        "/",
        [("My-Header1", " value1"), ("My-Header2", ' "a   b   c"')],
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    "post-vanilla": ("POST", "/", [], "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
}


@pytest.mark.parametrize("name", VECTORS)
def test_amazons_vectors_are_signed_as_published(name: str) -> None:
    method, path, headers, signature = VECTORS[name]
    url = f"https://example.amazonaws.com{path}"
    date, (field, proof) = sign(url, headers, b"", KEYS, service="service", now_s=AT, method=method)
    names = ";".join(sorted({"host", "x-amz-date", *(name.lower() for name, _ in headers)}))
    assert date == ("x-amz-date", "20150830T123600Z")
    assert field == "authorization"
    assert proof == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )


def test_a_body_and_a_session_token_are_signed_as_published() -> None:
    url = "https://example.amazonaws.com/"
    form = [("content-type", "application/x-www-form-urlencoded")]
    *_, (_, proof) = sign(url, form, b"Param1=value1", KEYS, service="service", now_s=AT)
    assert proof.endswith("=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a")
    keys = AwsCredentials(KEYS.region, KEYS.access_key_id, KEYS.secret_access_key, TOKEN)
    _, token, (_, proof) = sign(url, [], b"", keys, service="service", now_s=AT)
    assert token == ("x-amz-security-token", TOKEN)
    assert proof.endswith("=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead")


TEXTS = st.text("abcXYZ019-._~:/ %+=@", min_size=1, max_size=30)
HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "X-Amzn-Thing", "accept", "a-b"]), st.text("ab c;=/", max_size=12), max_size=4
)


@given(TEXTS, HEADERS, st.binary(max_size=60), st.one_of(st.none(), st.just(TOKEN)), st.booleans())
def test_botocore_signs_the_same(
    model: str, headers: dict[str, str], body: bytes, token: str | None, stream: bool
) -> None:
    url = address("https://bedrock-runtime.us-east-1.amazonaws.com", model, stream=stream)
    asked = AWSRequest(method="POST", url=url, headers=headers, data=body)
    now = datetime.fromtimestamp(AT, UTC)
    asked.context["timestamp"] = now.strftime("%Y%m%dT%H%M%SZ")
    auth = SigV4Auth(Credentials(KEYS.access_key_id, KEYS.secret_access_key, token), "bedrock", "us-east-1")
    asked.headers["X-Amz-Date"] = asked.context["timestamp"]
    if token is not None:
        asked.headers["X-Amz-Security-Token"] = token
    signature = auth.signature(auth.string_to_sign(asked, auth.canonical_request(asked)), asked)
    keys = AwsCredentials("us-east-1", KEYS.access_key_id, KEYS.secret_access_key, token)
    *_, (_, proof) = sign(url, headers.items(), body, keys, service="bedrock", now_s=AT)
    assert proof.endswith(f", Signature={signature}")


def test_an_arn_is_one_segment_and_counts_as_encoded_twice() -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    url = address("https://vpce-1.example.com/", arn, stream=True)
    assert url == (
        "https://vpce-1.example.com/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2F"
        "us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream"
    )
    assert canonical_path("/model/a%3A0%2Fb/converse") == "/model/a%253A0%252Fb/converse"


def test_no_credential_shows_itself() -> None:
    keys = AwsCredentials("us-east-1", "AKID-canary", "canary", "canary")
    assert "canary" not in f"{keys!r} {keys}"
