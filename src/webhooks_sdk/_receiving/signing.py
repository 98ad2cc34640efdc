"""What a delivery carries beside its body: the names of its headers, and its signature."""

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

_is_well_formed = re.compile("[0-9a-f]{64}").fullmatch


def sign(body: bytes, secret: str | bytes) -> str:
    """Return the signature of a delivery: HMAC-SHA256 in lower-case hexadecimal.

    With it, tests of a subscriber can make valid deliveries.

    Args:
        body: The raw body, as it is sent or was received.
        secret: The subscription's secret, the key; a string stands for its UTF-8 bytes.

    Raises:
        ConfigurationError: The secret is empty, or no text that UTF-8 can express.
    """
    return hmac.digest(_key(secret), body, "sha256").hex()


def verify_signature(body: bytes, signature: str | None, secret: Secrets) -> None:
    """Check the signature of a delivery, in constant time.

    Args:
        body: The raw body, byte for byte as it was received.
        signature: The value of the signature's header, None if there was none.
        secret: The subscription's secret; or several, any of which may have made the signature:
            the new and the old one, while a secret is being replaced.

    Raises:
        SignatureVerificationError: The signature is missing, is not 64 lower-case hexadecimal
            digits, or was made with none of the secrets or for another body.
        ConfigurationError: There is no secret, or one that is empty or no UTF-8 text.
    """
    keys = read_keys(secret)
    if signature is None:
        raise SignatureVerificationError(f"The delivery has no {SIGNATURE_HEADER} header.")
    # Who has no type checker may pass anything.
    if not isinstance(cast("object", signature), str) or not _is_well_formed(signature):
        raise SignatureVerificationError(
            f"The {SIGNATURE_HEADER} header is not 64 lower-case hexadecimal digits."
        )
    # A list, not a generator: which secret matched must not show in how long it took.
    if not any([hmac.compare_digest(sign(body, key), signature) for key in keys]):  # noqa: C419
        raise SignatureVerificationError(
            f"The {SIGNATURE_HEADER} header was not made for this body with"
            f" {'the secret' if len(keys) == 1 else 'any of the secrets'}."
        )


def read_keys(secret: Secrets) -> tuple[bytes, ...]:
    """Return the keys that one or several secrets stand for.

    Raises:
        ConfigurationError: There is none, or one that is empty, no UTF-8 text, or no text at all.
    """
    # Who has no type checker may pass anything, and the keys of a mapping are no secrets.
    given = cast("object", secret)
    if isinstance(given, str | bytes):
        given = (given,)
    if isinstance(given, Mapping | bytearray | memoryview) or not isinstance(given, Iterable):
        raise ConfigurationError(
            f"secret must be a string, bytes, or several of them, not {type(secret).__name__}."
        )
    keys = tuple(map(_key, cast("Iterable[str | bytes]", given)))
    if not keys:
        raise ConfigurationError("There is no secret in secret: give at least one.")
    return keys


def _key(secret: str | bytes) -> bytes:
    if not isinstance(cast("object", secret), str | bytes):
        raise ConfigurationError(f"A secret must be str or bytes, not {type(secret).__name__}.")
    try:
        key = secret.encode() if isinstance(secret, str) else secret
    except UnicodeEncodeError:
        # Raised below: that error has the secret in it, and would be the context of this one.
        key = b""
    if not key:
        raise ConfigurationError("A secret must not be empty, and as text must be valid Unicode.")
    return key
