"""Receiving a delivery, compared with hand-written code."""

from __future__ import annotations

import hmac
import json
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.calls import time_batch
from benchmarks.report import RECEIVE_BASELINE, RECEIVE_SDK
from webhooks_sdk import Delivery, sign

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.rounds import Benchmark

SECRET = b"the key that both sides know"
BODY_BYTES = 300_000
EVENT = "application_form:quoted"


def delivery_benchmarks(calls: int) -> Mapping[str, Benchmark]:
    body = large_body()
    signature = sign(body, SECRET)
    headers = {
        "Host": "subscriber.example",
        "User-Agent": "Hookshot",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "X-Emperor-Event": EVENT,
        "X-Emperor-Delivery": "2f2611b4-9f41-4dd2-81b2-3c74eb6a79b8",
        "X-Signature": signature,
    }
    return {
        RECEIVE_BASELINE: partial(time_batch, lambda: receive_without_sdk(body, signature), calls),
        RECEIVE_SDK: partial(
            time_batch, lambda: Delivery.from_http(headers, body, secret=SECRET), calls
        ),
    }


def receive_without_sdk(body: bytes, signature: str) -> object:
    """Verify and parse a delivery without the SDK."""
    if not hmac.compare_digest(hmac.new(SECRET, body, "sha256").hexdigest(), signature):
        raise ValueError("The signature does not match.")
    return json.loads(body)


def large_body() -> bytes:
    """Return a realistic payload: nested objects with short strings, numbers and nulls."""
    answer = {"question": "revenue", "value": 125_000.5, "label": "Zoë & Söhne", "note": None}
    row = {"id": 17, "carrier": "a carrier", "quoted": True, "answers": [answer] * 5}
    rows = BODY_BYTES // len(encode(row))
    return encode({"owner": {"first_name": "Zoë", "is_guest": False}, "rows": [row] * rows})


def encode(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
