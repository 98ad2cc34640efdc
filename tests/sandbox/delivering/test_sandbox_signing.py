"""The signature of a delivery, checked against a published test vector."""

from __future__ import annotations

import pytest

from webhooks_sdk import sign

# RFC 4231, test case 2.
BODY = b"what do ya want for nothing?"
SIGNATURE = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


@pytest.mark.parametrize("secret", ["Jefe", b"Jefe"])
def test_a_signature_is_hmac_sha256_in_lower_case_hexadecimal(secret: str | bytes) -> None:
    assert sign(BODY, secret) == SIGNATURE


def test_a_text_secret_is_utf_8() -> None:
    assert sign(BODY, "grün") == sign(BODY, "grün".encode()) != sign(BODY, "grun")
