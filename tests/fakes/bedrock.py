"""A Bedrock for the fake upstream: refuses what is not signed, or is no Converse; else plays the answer it is told."""

import json
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.fakes.bedrock_schema import check_converse
from tests.fakes.converse import frames
from tests.fakes.scripts import Script, Step, whole
from tests.fakes.upstream import Seen

REGION = "eu-central-1"
ACCESS_KEY_ID = "AKIDCANARY0123456789"
SECRET = "secret-canary-0123456789"
TOKEN = "token-canary/0123456789+=="
API_KEY = "bedrock-api-key-canary-0123456789"


class FakeBedrock:
    """A chooser of scripts. ``answer`` is what every good request gets, ``bodies`` what was asked, by model."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer
        self.piece_bytes = 61
        self.ending: tuple[Step, ...] = ()
        self.refusal: Script | None = None
        self.asked: list[tuple[str, Any]] = []

    def __call__(self, seen: Seen) -> Script:
        """The script for a request."""
        if seen.header("authorization") != f"Bearer {API_KEY}" and (signed := _unsigned(seen)):
            return refuse(403, "InvalidSignatureException", signed)
        _, _, model, operation = seen.path.split("/")
        stream = operation == "converse-stream"
        if faults := check_converse(seen.json, stream=stream):
            return refuse(400, "ValidationException", "; ".join(faults))
        self.asked.append((unquote(model), seen.json))
        if self.refusal is not None:
            return self.refusal
        return played(frames(self.answer), self.piece_bytes, self.ending) if stream else whole(self.answer)


def refuse(status: int, name: str, message: str) -> Script:
    """A refusal in Amazon's form."""
    return whole({"message": message}, status=status, headers=[("x-amzn-ErrorType", f"{name}:http://internal/")])


def played(told: list[bytes], piece_bytes: int, ending: tuple[Step, ...] = ()) -> Script:
    """A stream of frames in pieces of so many bytes."""
    stream = b"".join(told)
    pieces: list[Step] = [("send", stream[at : at + piece_bytes]) for at in range(0, len(stream), piece_bytes)]
    return Script(200, (("content-type", "application/vnd.amazon.eventstream"),), (*pieces, *ending), "chunked")


def _unsigned(seen: Seen) -> str:
    """What Amazon says where a signature is not the one that botocore makes of the same request; else nothing."""
    proof = seen.header("authorization") or ""
    signed = proof.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    headers = {name: seen.header(name) or "" for name in signed}
    url = f"http://{seen.header('host')}{seen.path}"
    asked = AWSRequest(method=seen.method, url=url, headers=headers, data=seen.body)
    at = seen.header("x-amz-date") or "19700101T000000Z"
    asked.context["timestamp"] = at
    auth = SigV4Auth(Credentials(ACCESS_KEY_ID, SECRET, TOKEN), "bedrock", REGION)
    canonical = auth.canonical_request(asked)
    signature = auth.signature(auth.string_to_sign(asked, canonical), asked)
    age_s = abs((datetime.strptime(f"{at}+0000", "%Y%m%dT%H%M%SZ%z") - datetime.now().astimezone()).total_seconds())
    is_good = (
        proof.endswith(f"Signature={signature}")
        and f"Credential={ACCESS_KEY_ID}/{at[:8]}/{REGION}/bedrock/aws4_request," in proof
        and {"host", "x-amz-date", "x-amz-security-token"} <= set(signed)
        and headers["x-amz-security-token"] == TOKEN
        and age_s < 300
    )
    words = "The request signature we calculated does not match the signature you provided.\n\nThe Canonical String is"
    return "" if is_good else f"{words}\n{json.dumps(canonical)}"
