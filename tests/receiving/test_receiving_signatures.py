"""Signatures: those that OpenSSL made, and all that is none."""

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


def test_there_are_samples() -> None:
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
def test_what_is_no_signature_is_refused(signature: str | None) -> None:
    with pytest.raises(SignatureVerificationError, match="X-Signature") as caught:
        verify_signature(BODY, signature, SECRET)
    assert caught.value.status == 401
    assert SIGNATURE not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_bytes_are_no_signature_either() -> None:
    with pytest.raises(SignatureVerificationError):
        verify_signature(BODY, SIGNATURE.encode(), SECRET)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - as a careless caller does


@pytest.mark.parametrize("secrets", [["new", SECRET], (SECRET, b"old"), {"a", "b", SECRET}])
def test_while_a_secret_is_replaced_any_of_several_matches(secrets: list[str | bytes]) -> None:
    verify_signature(BODY, SIGNATURE, secrets)
    verify_signature(BODY, SIGNATURE, iter(secrets))
    with pytest.raises(SignatureVerificationError, match="any of the secrets"):
        verify_signature(BODY, sign(BODY, "a third"), secrets)


def test_every_secret_is_tried_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def compare(first: str, second: str) -> bool:
        compared.append(first)
        return first == second

    monkeypatch.setattr(hmac, "compare_digest", compare)
    verify_signature(BODY, SIGNATURE, [SECRET, "two", "three"])
    assert compared == [SIGNATURE, sign(BODY, "two"), sign(BODY, "three")]


@pytest.mark.parametrize("secret", ["", b"", [], [SECRET, ""], "\udcff"])
def test_a_secret_that_is_none_protects_nobody(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="secret"):
        verify_signature(BODY, SIGNATURE, secret)


@pytest.mark.parametrize("secret", ["", b"", "\udcff"])
def test_nothing_is_signed_with_no_secret(secret: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        sign(BODY, secret)
    # The error of the codec would have the secret in it.
    assert caught.value.__context__ is None
