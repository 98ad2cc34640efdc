"""Whether the signature that an attempt carried is the right one, reckoned anew."""

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
    """What became of a check, and what that means in words."""

    verdict: Verdict
    label: str
    text: str


_CHECKS = {
    "valid": SignatureCheck(
        "valid", "Valid", "It was made for this body with the subscription's secret."
    ),
    "wrong": SignatureCheck(
        "wrong",
        "Does not match",
        "It was not made with the secret that the subscription has now:"
        " the secret was changed since.",
    ),
    "missing": SignatureCheck(
        "missing",
        "Missing",
        "Nothing was signed: the subscription got its secret after this attempt.",
    ),
    "unsigned": SignatureCheck(
        "unsigned", "No secret", "The subscription has no secret, so nothing is signed."
    ),
    "unknown": SignatureCheck(
        "unknown", "Cannot be checked", "The subscription is deleted, and its secret with it."
    ),
    "not_sent": SignatureCheck("not_sent", "Nothing sent", "Nothing was sent in this attempt."),
}


def check_signature(
    attempt: DeliveryAttempt, subscription: Subscription | None, body: bytes
) -> SignatureCheck:
    """Check the signature of an attempt against the secret that its subscription has now.

    Args:
        attempt: The attempt.
        subscription: Its subscription; None if that was deleted.
        body: What it sent.
    """
    return _CHECKS[_judge(attempt, subscription, body)]


def _judge(attempt: DeliveryAttempt, subscription: Subscription | None, body: bytes) -> Verdict:
    if not attempt.request_headers:
        return "not_sent"
    if attempt.signature is None and (subscription is None or not subscription.secret):
        return "unsigned"
    if subscription is None:
        return "unknown"
    if attempt.signature is None:
        return "missing"
    try:
        # Without a secret of today's, the one that signed was taken away.
        verify_signature(body, attempt.signature, subscription.secret or b"\0")
    except SignatureVerificationError:
        return "wrong"
    return "valid"
