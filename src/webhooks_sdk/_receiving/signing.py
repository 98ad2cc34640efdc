"""Delivery headers and signatures."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias, cast

from webhooks_sdk.errors import ConfigurationError, SignatureVerificationError

EVENT_HEADER = "X-Emperor-Event"
DELIVERY_HEADER = "X-Emperor-Delivery"
SIGNATURE_HEADER = "X-Signature"

Secrets: TypeAlias = str | bytes | Iterable[str | bytes]

_is_hex_digest = re.compile("[0-9a-f]{64}").fullmatch


def sign(body: bytes, secret: str | bytes) -> str:
    """Return the signature of a delivery: HMAC-SHA256 in lower-case hexadecimal.

    Use it to build valid deliveries in the tests of a subscriber.

    Args:
        body: The raw body, as sent or received.
        secret: The subscription's secret, which is the key; text is encoded as UTF-8.

    Raises:
        ConfigurationError: The secret is empty, or cannot be encoded as UTF-8.
    """
    return hmac.digest(_parse_secret(secret), body, "sha256").hex()


def verify_signature(body: bytes, signature: str | None, secret: Secrets) -> None:
    """Verify the signature of a delivery in constant time.

    Args:
        body: The raw body, byte for byte as received.
        signature: The value of the signature header; None if the header is missing.
        secret: The subscription's secret; during a rotation several, such as the old and the new
            one, of which any may match.

    Raises:
        SignatureVerificationError: The signature is missing, is not 64 lower-case hexadecimal
            digits, or does not match the body with any of the secrets.
        ConfigurationError: `secret` holds no secret, an empty one, or one that cannot be encoded
            as UTF-8.
    """
    keys = parse_secrets(secret)
    if signature is None:
        raise SignatureVerificationError(f"The delivery has no {SIGNATURE_HEADER} header.")
    # Callers without a type checker may pass anything.
    if not isinstance(cast("object", signature), str) or not _is_hex_digest(signature):
        raise SignatureVerificationError(
            f"The {SIGNATURE_HEADER} header is not 64 lower-case hexadecimal digits."
        )
    # A list, not a generator: the time taken must not reveal which secret matched.
    if not any([hmac.compare_digest(sign(body, key), signature) for key in keys]):  # noqa: C419
        raise SignatureVerificationError(
            f"The {SIGNATURE_HEADER} header does not match the body with"
            f" {'the secret' if len(keys) == 1 else 'any of the secrets'}."
        )


def parse_secrets(secret: Secrets) -> tuple[bytes, ...]:
    """Return one or several secrets as HMAC keys.

    Raises:
        ConfigurationError: There is no secret, or one is empty, not text or bytes, or cannot be
            encoded as UTF-8.
    """
    # Callers without a type checker may pass anything; the keys of a mapping are not secrets.
    secrets = cast("object", secret)
    if isinstance(secrets, str | bytes):
        secrets = (secrets,)
    if isinstance(secrets, Mapping | bytearray | memoryview) or not isinstance(secrets, Iterable):
        raise ConfigurationError(
            f"secret must be a str, bytes, or an iterable of them, got {type(secret).__name__}."
        )
    keys = tuple(map(_parse_secret, cast("Iterable[str | bytes]", secrets)))
    if not keys:
        raise ConfigurationError("secret is empty: pass at least one secret.")
    return keys


def _parse_secret(secret: str | bytes) -> bytes:
    if not isinstance(cast("object", secret), str | bytes):
        raise ConfigurationError(f"A secret must be str or bytes, got {type(secret).__name__}.")
    try:
        key = secret.encode() if isinstance(secret, str) else secret
    except UnicodeEncodeError:
        # Raise below instead: this error contains the secret, and would become the context.
        key = b""
    if not key:
        raise ConfigurationError("A secret is empty, or cannot be encoded as UTF-8.")
    return key
