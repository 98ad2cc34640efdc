"""Checks of the signature that a delivery attempt carried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from attrs import frozen

from webhooks_sdk._receiving.signing import verify_signature
from webhooks_sdk.errors import SignatureVerificationError

if TYPE_CHECKING:
    from webhooks_sdk.sandbox._records import DeliveryAttempt, Subscription

Verdict: TypeAlias = Literal["valid", "wrong", "missing", "unsigned", "unknown", "not_sent"]


@frozen
class SignatureCheck:
    """The result of a signature check, with a label and an explanation for display."""

    verdict: Verdict
    label: str
    text: str


_CHECKS = {
    "valid": SignatureCheck(
        "valid", "Valid", "The signature matches the body and the subscription's secret."
    ),
    "wrong": SignatureCheck(
        "wrong",
        "Does not match",
        "The signature was not made with the subscription's current secret:"
        " the secret was changed after this attempt.",
    ),
    "missing": SignatureCheck(
        "missing",
        "Missing",
        "The attempt was not signed: the subscription had no secret at the time.",
    ),
    "unsigned": SignatureCheck(
        "unsigned", "No secret", "The subscription has no secret, so deliveries are not signed."
    ),
    "unknown": SignatureCheck(
        "unknown", "Cannot be checked", "The subscription was deleted, and its secret with it."
    ),
    "not_sent": SignatureCheck("not_sent", "Not sent", "This attempt sent no request."),
}


def check_signature(
    attempt: DeliveryAttempt, subscription: Subscription | None, body: bytes
) -> SignatureCheck:
    """Check the signature of an attempt against the current secret of its subscription.

    Args:
        attempt: The attempt.
        subscription: Its subscription; None if that was deleted.
        body: The body that the attempt sent.
    """
    return _CHECKS[_verdict(attempt, subscription, body)]


def _verdict(attempt: DeliveryAttempt, subscription: Subscription | None, body: bytes) -> Verdict:
    if not attempt.request_headers:
        return "not_sent"
    if attempt.signature is None and (subscription is None or not subscription.secret):
        return "unsigned"
    if subscription is None:
        return "unknown"
    if attempt.signature is None:
        return "missing"
    try:
        # A signed attempt of a subscription without a secret: the secret was removed since.
        verify_signature(body, attempt.signature, subscription.secret or b"\0")
    except SignatureVerificationError:
        return "wrong"
    return "valid"
