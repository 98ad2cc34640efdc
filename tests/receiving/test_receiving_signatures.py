"""Signatures: those made by OpenSSL, and invalid ones."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import pytest
from support.receiving_helpers import BODY, SAMPLES, SECRET

from webhooks_sdk import (
    ConfigurationError,
    SignatureVerificationError,
    sign,
    verify_signature,
)

if TYPE_CHECKING:
    from pathlib import Path

SIGNATURE = sign(BODY, SECRET)


@pytest.mark.parametrize("body", sorted(SAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_openssl_makes_the_same_signature(body: Path) -> None:
    secret = body.with_suffix(".secret").read_bytes()
    signature = body.with_suffix(".signature").read_text("ascii").strip()
    assert sign(body.read_bytes(), secret) == signature
    assert sign(body.read_bytes(), secret.decode()) == signature
    verify_signature(body.read_bytes(), signature, secret.decode())


def test_all_samples_are_found() -> None:
    assert len(list(SAMPLES.glob("*.json"))) == len(list(SAMPLES.glob("*.signature"))) == 3


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        " ",
        SIGNATURE.upper(),
        SIGNATURE[:-1],
        f"{SIGNATURE}0",
        f"{SIGNATURE}\n",
        f" {SIGNATURE}",
        f"sha256={SIGNATURE}",
        f"0x{SIGNATURE[2:]}",
        f"{SIGNATURE[:-1]}g",
        f"{SIGNATURE[:-1]}\N{ARABIC-INDIC DIGIT ONE}",
        "\ud800" * 64,
        "é" * 64,
        f"{SIGNATURE}, {SIGNATURE}",
        sign(BODY, "another secret"),
        sign(BODY + b" ", SECRET),
    ],
)
def test_an_invalid_signature_is_rejected(signature: str | None) -> None:
    with pytest.raises(SignatureVerificationError, match="X-Signature") as caught:
        verify_signature(BODY, signature, SECRET)
    assert caught.value.status == 401
    assert SIGNATURE not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_signature_in_bytes_is_rejected() -> None:
    with pytest.raises(SignatureVerificationError):
        verify_signature(BODY, SIGNATURE.encode(), SECRET)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - the test


@pytest.mark.parametrize("secrets", [["new", SECRET], (SECRET, b"old"), {"a", "b", SECRET}])
def test_any_of_several_secrets_may_match(secrets: list[str | bytes]) -> None:
    verify_signature(BODY, SIGNATURE, secrets)
    verify_signature(BODY, SIGNATURE, iter(secrets))
    with pytest.raises(SignatureVerificationError, match="any of the secrets"):
        verify_signature(BODY, sign(BODY, "a third"), secrets)


def test_every_secret_is_compared_even_after_a_match(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def compare(first: str, second: str) -> bool:
        compared.append(first)
        return first == second

    monkeypatch.setattr(hmac, "compare_digest", compare)
    verify_signature(BODY, SIGNATURE, [SECRET, "two", "three"])
    assert compared == [SIGNATURE, sign(BODY, "two"), sign(BODY, "three")]


@pytest.mark.parametrize("secret", ["", b"", [], [SECRET, ""], "\udcff"])
def test_verifying_with_an_invalid_secret_is_an_error(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="secret"):
        verify_signature(BODY, SIGNATURE, secret)


@pytest.mark.parametrize("secret", ["", b"", "\udcff"])
def test_signing_with_an_invalid_secret_is_an_error(secret: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        sign(BODY, secret)
    # The UnicodeEncodeError contains the secret.
    assert caught.value.__context__ is None
