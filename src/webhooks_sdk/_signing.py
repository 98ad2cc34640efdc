"""What a delivery carries beside its body: the names of its headers, and its signature."""

from __future__ import annotations

import hashlib
import hmac

EVENT_HEADER = "X-Emperor-Event"
DELIVERY_HEADER = "X-Emperor-Delivery"
SIGNATURE_HEADER = "X-Signature"


def sign(body: bytes, secret: str | bytes) -> str:
    """Return the signature of a delivery: HMAC-SHA256 in lower-case hexadecimal.

    Args:
        body: The raw body, as it is sent or was received.
        secret: The subscription's secret, the key; a string stands for its UTF-8 bytes.
    """
    key = secret.encode() if isinstance(secret, str) else secret
    return hmac.new(key, body, hashlib.sha256).hexdigest()
